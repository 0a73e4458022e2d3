"""Model packs and what they say about an image. Its modules follow the path of an image:

``pixels`` (a file nobody vouches for → grey image, by way of ``frames``, which gives the stored values of one frame,
``grey_scale`` and ``lookup_tables``; ``image_pixel``, ``pixel_limits``, ``codestream``, ``frame_attributes`` and
``tolerant_reading`` serve them; ``pictures`` does the same for PNG and JPEG, ``volume`` puts slices in order) →
``image_facts``, ``non_images`` and ``scope`` (may a pack read it?) → ``preprocessing`` (pixels → tensor) → ``runner``
(pack + session → calibrated findings, heat map) → ``decision`` (the rule, and the study's rule) → ``triage`` (all of
it for one image). ``reasons`` and ``errors`` name what can go wrong.

``manifest``, ``pack`` and ``registry`` read and verify what lies in ``packs/``; ``golden`` and ``opening``
choose the device. ``answers`` (what a pack said, what the label says), ``measures`` and ``evaluation`` measure a pack;
``robustness`` does so for changed pictures (``picture_changes``) and other forms of the same one (``dicom_forms``);
``recipes`` trained and quantised it.
"""
