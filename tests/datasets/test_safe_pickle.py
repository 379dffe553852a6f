"""The interpreter of pickled object arrays."""

from __future__ import annotations

import pickle
import struct
import tracemalloc

import numpy as np
import pytest

from qcanvas_sklearn.datasets._safe_pickle import read_object_array


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_plain_values_and_numpy_scalars(protocol):
    values = [
        None, True, False, 0, 255, 65535, -(2**31), 2**62, 1.5, "", "Ag", "é" * 300,
        [1, [2]], (), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), {}, {"a": {"b": None}},
        list(range(2000)), np.float64(-1e-300), np.float32(0.5), np.bool_(True),
        np.int64(-7), np.uint8(200), np.str_("Th"),
    ]  # fmt: skip
    array = np.empty(len(values), dtype=object)
    array[:] = values
    read = read_object_array(pickle.dumps(array, protocol)).tolist()
    assert read == values
    scalars = read[-6:]
    assert {type(value) for value in scalars} == {float, bool, int, str}


def test_scalars_of_the_other_byte_order():
    data = pickle.dumps(np.array([None, np.float64(2.5)], dtype=object), 3)
    swapped = data.replace(struct.pack("<d", 2.5), struct.pack(">d", 2.5)).replace(b"<", b">")
    assert swapped != data and read_object_array(swapped).tolist() == [None, 2.5]


def test_shape_is_kept():
    array = np.array([["Ag", "Al"], ["C", "O"], ["H", "H"]], dtype=object)
    for layout in (array, np.asfortranarray(array)):
        np.testing.assert_array_equal(read_object_array(pickle.dumps(layout)), array)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"cos\nsystem\n(S'true'\ntR.", "'os.system'"),
        (b"(ios\nsystem\n.", "INST os system"),
        (b"Pos.system\n.", "PERSID os.system"),
        (b"\x80\x02\x82\x01.", "EXT1"),
        (b"\x80\x04(\x8c\x01a\x90.", "ADDITEMS"),
        (b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b".", "bytearray8"),
        (b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b".", "bytes8"),
        (b"\x80\x04X" + struct.pack("<I", 2**31) + b"a.", "unicodestring4"),
        (b"\x80\x02}" + b")" + b"\x85" * 300_000 + b"K\x01s.", "keys other than text"),
        (b"\x80\x02cnumpy\ndtype\n}b.", "a state for something"),
        (b"\x80\x02cnumpy\ndtype\nX\x02\0\0\0O8\x89\x88\x87R}b.", "a state for something"),
        (b"\x80\x02cnumpy\nndarray\n(K\x05tR.", "arguments that numpy does not write"),
        (b"\x80\x02]K\x01a.", "other than an array"),
        (b"\x80\x02h\x05.", "damaged"),
        (b"\x80\x02a.", "damaged"),
        (b"\x80\x02R.", "damaged"),
        (b"\x80\x02tt.", "damaged"),
    ],
)
def test_hostile_instructions(data, message):
    with pytest.raises(ValueError, match=message):
        read_object_array(data)


def test_huge_memo_index_takes_no_memory():
    data = pickle.dumps(np.array([None, 1.5], dtype=object), 2)
    tracemalloc.start()
    try:
        read = read_object_array(data[:-1] + b"r\xff\xff\xff\x7f.")
        assert tracemalloc.get_traced_memory()[1] < 10**6
    finally:
        tracemalloc.stop()
    assert read.tolist() == [None, 1.5]
