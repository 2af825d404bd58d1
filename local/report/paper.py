"""The numbers of the paper, as printed there: Dai et al., LSTM based segment features for music genres."""

CORPUS = "ismir04"
CORPUS_NAME = "ISMIR2004 genre"
NUM_TEST = 729

MEASURES = ("Frame_acc", "Seg_acc", "LSeg_acc", "FSeg_acc")
NETWORKS: dict[str, tuple] = {
    "dnn1": ("525-1024-6", 75.92, 85.32),
    "dnn2": ("525-1024-1024-6", 76.35, 84.35),
    "lstm_512": ("525-512-6", 83.85, 87.52, 88.07, 89.71),
    "lstm_1024": ("525-1024-6", 83.78, 87.65, 88.34, 88.07),
    "lstm_512_512": ("525-512-512-6", 81.66, 86.28, 86.14, 88.48),
    "lstm_1024_1024": ("525-1024-1024-6", 80.44, 82.99, 83.95, 86.42),
}
"""Rows of Tables 2 and 4 by the name of the experiment: dimensions, and the accuracies in percent."""
SYSTEMS = {
    "son2008": ("son2008 (Song & Zhang)", 84.77),
    "hol2008": ("hol2008 (Holzapfel & Stylianou)", 83.5),
    "lee2009": ("lee2009 (Lee, Shih, Yu & Lin)", 86.8),
    "leo2012": ("leo2012 (de Leon & Martinez)", 76.27),
    "sig2014": ("sig2014 (Sigtia & Dixon)", 73.4),
}
"""Systems that the paper quotes in Table 4 with one accuracy each, and did not run itself."""

TABLE1 = {
    "classical": (320, 17.87, 320, 16.71),
    "electronic": (115, 10.48, 114, 9.97),
    "jazz_blues": (26, 1.66, 26, 1.80),
    "metal_punk": (45, 3.14, 45, 2.95),
    "rock_pop": (101, 6.34, 102, 6.79),
    "world": (122, 11.92, 122, 10.86),
    "total": (729, 51.41, 729, 49.08),
}
"""Tracks and hours of train, tracks and hours of test."""

SLIP = (
    "The paper gives the gain over the baseline as 4.19 points where its tables say 4.39 (89.71 - 85.32), "
    "and describes no validation set: its models and its k seem to have been chosen on the test set."
)


def network(model: str) -> str:
    """Return the dimensions of the paper's network, empty where it has none of this name."""
    return NETWORKS[model][0] if model in NETWORKS else ""


def accuracy(model: str, measure: str) -> float | None:
    """Return the paper's value, in percent, of one of our measures, None where it has none."""
    if model in SYSTEMS:
        return SYSTEMS[model][1] if measure == "Seg_acc" else None
    return dict(zip(MEASURES, NETWORKS.get(model, ("",))[1:], strict=False)).get(measure)
