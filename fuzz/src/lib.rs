//! Fuzz targets: bytes from outside against the codec, the batches, the files and the machine.
