"""Model-agnostic tools: options, job runners, data directories, stamps."""
