"""The recipe of ``brain-mr-tumour``: glioma, meningioma, pituitary tumour or none on single MR slices of the head.

    make lab
    python -m models.recipes.brain_mr_tumour --images DIR --labels CSV --out models/packs

``CSV`` has the columns ``file,label``.
"""

from __future__ import annotations

from models.preprocessing import InputSpec
from models.recipes.build import main
from models.recipes.task import Schedule, Task, Words

TASK = Task(
    name="brain-mr-tumour",
    version="0.2.0",
    classes=("notumor", "glioma", "meningioma", "pituitary"),
    activation="softmax",
    acts_on=("glioma", "meningioma", "pituitary"),
    spec=InputSpec(size_px=192, low_pass_sigma_px=0.6, low_percentile=1.0, high_percentile=99.5),
    scope={
        "modalities": ["MR"],
        "body_parts": ["BRAIN", "HEAD"],
        "min_side_px": 128,
        "photometric_interpretations": ["MONOCHROME1", "MONOCHROME2"],
    },
    strain=0.5,
    heat_map_proven=True,
    full=Schedule("lite1", epochs=10, images=2400, seed=20264, frozen_blocks=2),
    seconds=(),
    lights=(
        Schedule("lite0", epochs=10, images=2400, seed=20265, frozen_blocks=2),
        Schedule("lite0-short", epochs=8, images=2400, seed=20365, frozen_blocks=2),
    ),
    words=Words(
        intended_use="Research use only, not for diagnosis. Triage of single MR slices of the head for glioma, "
        "meningioma and pituitary tumour.",
        population="Adults, mixed hospitals and scanners; neither age nor sex is known for an image.",
        data="A public collection of 2D slices under CC0 with mixed sources, mostly T1 after contrast; exact "
        "duplicates were removed.",
        licence="Apache-2.0; trained on data under CC0",
        limits=(
            "The data name no patients. Slices that look alike were kept on one side of the split; other slices of "
            "the same patient may still lie on both sides, so the figures are of slices and optimistic.",
            "The images without a tumour come from other sources than those with one, which makes them easier to "
            "tell apart than in a clinic.",
            "Turned upside down, many slices look like others the right way up; the gate refuses only a part of them.",
            "Metastases, haemorrhage, infarcts and every other disease were not studied.",
        ),
        minutes=60,
    ),
)

if __name__ == "__main__":
    main(TASK, __doc__)
