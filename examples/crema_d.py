"""CREMA-D in the setting of the InfoReg paper: emotions in voice and face
=======================================================================

Prints accuracy on the test part, of both modalities together and of each alone, beside the
published figures; _paper_setting.py says how the training differs from the authors'. No results
are given here, because the clips are not part of this repository. See datasets/crema_d/README.rst
for how to get the clips and the lists.

    python examples/crema_d.py CREMA-D --method joint 'inforeg*' --seeds 3

``--split lists`` (the default) takes the authors' lists, which the published figures are based on;
their parts share actors. With ``--split actors``, the actors of the test part are new to the
network, which is harder and closer to real use; its validation part is not used.
"""

from _paper_setting import load, parser, run

from inforeg_sk.datasets import load_crema_d
from inforeg_sk.features import LogSTFT

PUBLISHED = {
    "joint": (66.61, 58.99, 35.14),
    "joint*": (70.81, 60.52, 55.23),
    "inforeg": (71.90, 60.03, 49.65),
    "inforeg*": (75.71, 61.63, 61.22),
}


def main():
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--split", choices=["lists", "actors"], default="lists")
    args = options.parse_args()
    bunch = load(load_crema_d, args, split=args.split)
    sound = LogSTFT.crema_d(n_jobs=args.workers)
    # The published figures hold for the lists; beside other parts they would mislead.
    published = PUBLISHED if args.split == "lists" else {}
    run(f"CREMA-D, split by {args.split}", bunch, sound, published, args)


if __name__ == "__main__":
    main()
