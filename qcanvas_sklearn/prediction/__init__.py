"""Predictions for more rows than memory holds: block by block, file to file, on a cluster.

`predict_blocks` takes any iterator of blocks, `predict_dask` a ``dask.dataframe``, and
`predict_file` a file, from which it goes on where it was killed. All of them give the columns
of the input and, behind these, ``<target>_pred`` and ``<target>_std``.
"""

from ._blocks import predict_blocks
from ._dask import predict_dask
from ._file import predict_file

__all__ = ["predict_blocks", "predict_dask", "predict_file"]
