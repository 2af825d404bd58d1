"""What the corpora share: utterance ids, artists, splits and folds, overlap between train and test."""
