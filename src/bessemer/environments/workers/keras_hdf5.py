"""A foreign HDF5 file, looked at before Keras reads it: it may name other files, and unfold without end."""

import h5py
from keras_config import Refused

#: Most groups and arrays of a file, and bytes of its architecture.
_MOST, _ARCHITECTURE = 100_000, 2**26


def check(path, most):
    """Nothing but arrays of numbers that are in the file itself.

    Args:
        path: of the file. most: bytes of all arrays together.

    Raises:
        Refused: something else.
    """
    try:
        with h5py.File(path, "r") as file:
            _walk(file, most)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise Refused("the HDF5 file is damaged", str(error)[:200]) from None


def _walk(top, most):
    size, count, seen, waiting = 0, 0, set(), [top]
    while waiting:
        group = waiting.pop()
        place = h5py.h5o.get_info(group.id).addr
        if place in seen:
            raise Refused("a group of the HDF5 file stands in two places")
        seen.add(place)
        for name in group:
            count += 1
            if count > _MOST:
                raise Refused(f"the HDF5 file has more than {_MOST:,} parts")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise Refused(f"'{name}' of the HDF5 file is a link", "it may lead to another file")
            item = group[name]
            if isinstance(item, h5py.Group):
                waiting.append(item)
            else:
                size += _size(name, item)
        if size > most:
            raise Refused(f"the HDF5 file unfolds to more than {most:,} bytes", f"up to {most:,} are read")


def _size(name, item):
    if not isinstance(item, h5py.Dataset) or item.dtype.kind not in "fiub":
        raise Refused(f"'{name}' of the HDF5 file is no array of numbers")
    if item.external or item.is_virtual:
        raise Refused(
            f"'{name}' of the HDF5 file is in another file", "only data in the file itself are read"
        )
    return item.size * item.dtype.itemsize


def architecture(path):
    """What the file says of the model's layers, as JSON.

    Raises:
        Refused: it says nothing: it may have weights alone.
    """
    with h5py.File(path, "r") as file:
        if "model_config" not in file.attrs:
            raise Refused("the HDF5 file does not say of which layers its weights are")
        if file.attrs.get_id("model_config").get_storage_size() > _ARCHITECTURE:
            raise Refused("the architecture in the HDF5 file is too large")
        text = file.attrs["model_config"]
    return text.decode("utf-8") if isinstance(text, bytes) else str(text)
