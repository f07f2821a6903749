"""Kinetics-Sounds in the setting of the InfoReg paper: 31 actions that are seen and heard
=======================================================================================

Prints accuracy on the test part, of both modalities together and of each alone, beside the
published figures; _paper_setting.py says how the training differs from the authors'. No results
are given here, because the clips are not part of this repository. See
datasets/kinetics_sounds/README.rst for how to get the clips and the lists.

    python examples/kinetics_sounds.py kinetics_sounds --missing drop --method joint 'inforeg*'

The authors have not published their code for this data set. The spectrograms are those of their
group's code for VGGSound (GeWu-Lab/OGM-GE_CVPR2022): 16 kHz, 5 s, windows of 256 samples every 128;
there the 5 s start anywhere in the first half of the clip, here at its beginning.
"""

from _paper_setting import load, parser, run

from inforeg_sk.datasets import load_kinetics_sounds
from inforeg_sk.features import LogSTFT

PUBLISHED = {
    "joint": (65.67, 53.13, 36.01),
    "joint*": (68.71, 55.23, 44.18),
    "inforeg": (69.31, 54.16, 44.73),
    "inforeg*": (72.03, 57.21, 53.57),
}


def main():
    args = parser(__doc__.splitlines()[0]).parse_args()
    bunch = load(load_kinetics_sounds, args)
    sound = LogSTFT(16000, 5.0, "tile", n_fft=256, hop_length=128, clip=True, n_jobs=args.workers)
    run("Kinetics-Sounds", bunch, sound, PUBLISHED, args)


if __name__ == "__main__":
    main()
