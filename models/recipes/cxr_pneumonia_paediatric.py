"""The recipe of ``cxr-pneumonia-paediatric``: opacities typical of pneumonia on chest radiographs of small children.

    make lab
    python -m models.recipes.cxr_pneumonia_paediatric --images DIR --labels CSV --out models/packs

``CSV`` has the columns ``file,label,cause,patient``; the images are those of Kermany, Zhang and Goldbaum (2018).
"""

from __future__ import annotations

from models.preprocessing import InputSpec
from models.recipes.build import main
from models.recipes.task import Schedule, Task, Words

TASK = Task(
    name="cxr-pneumonia-paediatric",
    version="0.3.0",
    classes=("normal", "pneumonia"),
    activation="sigmoid",
    acts_on=("pneumonia",),
    spec=InputSpec(),
    scope={
        "modalities": ["CR", "DX"],
        "body_parts": ["CHEST"],
        "views": ["AP"],
        "age_years": [1, 5],
        "min_side_px": 200,
        "photometric_interpretations": ["MONOCHROME1", "MONOCHROME2"],
    },
    group="patient",
    heat_map_proven=True,
    full=Schedule("lite2", epochs=7, images=2000, seed=20261, frozen_blocks=3),
    seconds=(Schedule("lite1", epochs=3, images=2000, seed=20262, frozen_blocks=3),),
    lights=(
        Schedule("lite0", epochs=6, images=2000, seed=20263, frozen_blocks=3, teacher_share=0.7),
        Schedule("lite0-short", epochs=6, images=2000, seed=20363, frozen_blocks=3, teacher_share=0.7),
    ),
    words=Words(
        intended_use="Research use only, not for diagnosis. Triage of AP chest radiographs of children of 1 to 5 "
        "years for opacities typical of pneumonia.",
        population="Children of 1 to 5 years from one hospital (Guangzhou Women and Children's Medical Center).",
        data="Kermany, Zhang and Goldbaum (2018), Mendeley Data, doi:10.17632/rscbjbr9sj.3, CC BY 4.0; Cell 172:1122. "
        "Only the publishers' training part was used, reduced to 224 px; their own test part was not looked at.",
        licence="Apache-2.0; trained on data under CC BY 4.0 (Kermany, Zhang, Goldbaum 2018)",
        limits=(
            "Three of four images in the data are abnormal, far more than in a clinic.",
            "The test part shares hospital, years and file history with the training part, so its figures are "
            "optimistic: others have seen networks lose ten points of AUC on the publishers' test part.",
            "Sharpness, JPEG history and brightness differ between the classes in the source. The input is "
            "low-passed, training exchanged fine structure between the classes and varied all the rest, which lessens "
            "that shortcut and does not prove it gone.",
            "Lateral views, foreign bodies, effusions, pneumothorax, tuberculosis and whatever else is not pneumonia "
            "were not studied.",
        ),
        minutes=60,
    ),
)

if __name__ == "__main__":
    main(TASK, __doc__)
