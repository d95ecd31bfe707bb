"""Whether a lake can be reached and written to, found out by doing so: a file is put there and taken away."""

import secrets

from pyarrow import fs

from mlobs_pipelines.store.place import Place


def reach(place: Place) -> bool:
    """Write a small file into a lake's root and delete it again.

    Returns
    -------
    bool
        False where there is no root yet; nothing is made then.

    Raises
    ------
    OSError
        If the root cannot be reached or written to.
    """
    filesystem, root = place.filesystem(), place.inside(place.base)
    if filesystem.get_file_info(root).type == fs.FileType.NotFound:
        return False
    # No name that a model or a table could have, so that nobody takes it for one.
    probe = f"{root}/~reach-{secrets.token_hex(8)}"
    with filesystem.open_output_stream(probe) as stream:
        stream.write(b"mlobs")
    filesystem.delete_file(probe)
    return True
