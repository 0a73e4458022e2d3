"""What the box has, and one way to run a network on it. Knows tensors and chips, no DICOM.

``session`` is the one interface; ``openvino_session`` and ``onnxruntime_session`` are its two
implementations, each the only file that imports its library. ``choice`` lists what could run a network here
and measures it. ``inventory`` says what the machine is. ``errors`` holds what they raise.
"""
