"""Makes the ONNX file of a model from its publisher's files, for `gated models pull`.

`gated.face.convert.confined` runs a converter in a process without rights. A converter is a function of bytes. It
raises `ModelError` with the reason for files that are damaged or hostile. Its output depends on its input alone: the
manifest names the SHA-256 of both.

Public: confined.
"""
