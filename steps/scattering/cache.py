from steps.scattering import bands
def load_or_build(config, num_hops, dtype):
    return bands.build(config, num_hops, dtype)
