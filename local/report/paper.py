"""The numbers of the paper, as printed there: Dai et al., LSTM based segment features for music genres."""

from typing import NamedTuple

CORPUS = "ismir04"
CORPUS_NAME = "ISMIR2004 genre"
NUM_TEST = 729


class PaperModel(NamedTuple):
    """A row of Table 2 or 4; accuracies in percent, None where the paper has none."""

    label: str
    frame: float | None
    seg: float
    lseg: float | None = None
    fseg: float | None = None

    def accuracy(self, measure: str) -> float | None:
        """Return the paper's value of one of our measures, None where it has none."""
        return dict(zip(("Frame_acc", "Seg_acc", "LSeg_acc", "FSeg_acc"), self[1:], strict=True)).get(measure)

    @property
    def network(self) -> str:
        """Dimensions of the paper's network, empty for a system without one."""
        return self.label.partition("(")[2].rstrip(")") if "5-" in self.label else ""


LSTMS = {
    "lstm_512": PaperModel("LSTM (525-512-6)", 83.85, 87.52, 88.07, 89.71),
    "lstm_1024": PaperModel("LSTM (525-1024-6)", 83.78, 87.65, 88.34, 88.07),
    "lstm_512_512": PaperModel("LSTM (525-512-512-6)", 81.66, 86.28, 86.14, 88.48),
    "lstm_1024_1024": PaperModel("LSTM (525-1024-1024-6)", 80.44, 82.99, 83.95, 86.42),
}
SYSTEMS = {
    "son2008": PaperModel("son2008 (Song & Zhang)", None, 84.77),
    "hol2008": PaperModel("hol2008 (Holzapfel & Stylianou)", None, 83.5),
    "lee2009": PaperModel("lee2009 (Lee, Shih, Yu & Lin)", None, 86.8),
    "leo2012": PaperModel("leo2012 (de Leon & Martinez)", None, 76.27),
    "sig2014": PaperModel("sig2014 (Sigtia & Dixon)", None, 73.4),
}
"""Systems that the paper quotes in Table 4 with one accuracy each, and did not run itself."""
MODELS = {
    "dnn1": PaperModel("baseline-DNN1 (525-1024-6)", 75.92, 85.32),
    "dnn2": PaperModel("baseline-DNN2 (525-1024-1024-6)", 76.35, 84.35),
    **LSTMS,
    **SYSTEMS,
}
"""All rows, by the name of the experiment. Table 4 has the LSTMs and the systems in this order; what else was
scored stands below them (the SVM on the mean frame, DNNs with segment features), but for ``best``, above."""

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
