"""The recipe of ``breast-us-lesion``: benign or malignant lesion, or none, on breast ultrasound.

    make lab
    python -m models.recipes.breast_us_lesion --images DIR --labels CSV --out models/packs

``CSV`` has the columns ``file,label``; the images are those of Al-Dhabyani et al. (2020).
"""

from __future__ import annotations

from models.preprocessing import InputSpec
from models.recipes.build import main
from models.recipes.task import Schedule, Task, Words

TASK = Task(
    name="breast-us-lesion",
    version="0.1.0",
    classes=("normal", "benign", "malignant"),
    activation="softmax",
    acts_on=("malignant",),
    spec=InputSpec(low_pass_sigma_px=0.6, low_percentile=0.5, high_percentile=99.5),
    scope={
        "modalities": ["US"],
        "body_parts": ["BREAST"],
        "min_side_px": 200,
        "photometric_interpretations": ["MONOCHROME2", "RGB", "YBR_FULL", "YBR_FULL_422"],
    },
    full=Schedule("lite1", epochs=8, images=960, seed=20266, frozen_blocks=2),
    seconds=(),
    lights=(
        Schedule("lite0", epochs=8, images=960, seed=20267, frozen_blocks=2),
        Schedule("lite0-short", epochs=5, images=960, seed=20367, frozen_blocks=2),
    ),
    prevalence=1 / 3,
    settled=0.4,
    words=Words(
        intended_use="Research use only, not for diagnosis. Triage of breast ultrasound images for lesions that look "
        "malignant.",
        population="Women of 25 to 75 years from one hospital (Baheya Hospital, Cairo), 2018.",
        data="Breast Ultrasound Images (BUSI), Al-Dhabyani, Gomaa, Khaled and Fahmy (2020), Data in Brief 28:104863, "
        "reduced to 256 px; 542 images were available.",
        licence="Apache-2.0; weights trained on BUSI (Al-Dhabyani et al. 2020)",
        limits=(
            "Very few images: every interval is wide, and no line for `routine` or `urgent` meets the bound, so the "
            "pack escalates every image that it reads. What it adds is the order in which they are looked at.",
            "A benign lesion is reported as a finding and does not by itself make an image abnormal: the decision "
            "rests on `malignant`.",
            "Some images carry burned-in callipers and text, which may hint at a lesion.",
            "The data name no patients; images that look alike were kept on one side of the split.",
        ),
        minutes=25,
        heat_map="The heat map is the sum the score is made of, and nothing shows that it points at the lesion: on "
        "malignant images, covering the hottest fifth lowered the score more than covering as much elsewhere in 77 of "
        "146 (sign test, p 0.28). Do not rely on it.",
    ),
)

if __name__ == "__main__":
    main(TASK, __doc__)
