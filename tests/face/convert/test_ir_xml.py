"""The XML of an IR may be hostile: it is read without entities, without recursion and within limits."""

import pytest

from gated.errors import ModelError
from gated.face.convert import ir_xml
from gated.face.convert.ir_xml import read_layers


def test_each_layer_has_its_inputs(ir):
    layers = read_layers(ir.xml())
    assert [layer.kind for layer in layers][:4] == ["Parameter", "Const", "Convert", "Multiply"]
    product = layers[3]
    assert [read.port for read in product.inputs] == [("0", "0"), ("2", "1")]
    assert product.shape == (1, 3, 4, 4)
    assert product.data == {"auto_broadcast": "numpy"}


BOMB = b"""<?xml version="1.0"?><!DOCTYPE net [<!ENTITY a "aaaaaaaaaa">%s]><net>&k;</net>""" % b"".join(
    b'<!ENTITY %c "%s">' % (letter, b"&%c;" % (letter - 1) * 10) for letter in b"bcdefghijk"
)
OUTSIDE = b'<!DOCTYPE net [<!ENTITY a SYSTEM "file:///etc/passwd">]><net>&a;</net>'


@pytest.mark.parametrize("xml", [BOMB, OUTSIDE, b"<!DOCTYPE net><net/>"])
def test_a_document_type_is_refused_before_any_entity(xml):
    with pytest.raises(ModelError, match="document type"):
        read_layers(xml)


@pytest.mark.parametrize("xml", [b"", b"<", b"<net>", b"\x00", b"<net>&x;</net>", b"<a/><b/>", b"<net a='1' a='1'/>"])
def test_invalid_xml_is_refused(xml):
    with pytest.raises(ModelError, match="no XML"):
        read_layers(xml)


def test_a_file_without_layers_has_none():
    assert read_layers(b"<net/>") == []


def test_a_nest_without_end_is_refused():
    with pytest.raises(ModelError, match="nested too deep"):
        read_layers(b"<net>" * 1_000_000)


def test_layers_without_end_are_refused(monkeypatch):
    monkeypatch.setattr(ir_xml, "MOST_LAYERS", 50)
    with pytest.raises(ModelError, match="more than 50 layers"):
        read_layers(b"<net><layers>" + b"<layer/>" * 60 + b"</layers></net>")
    with pytest.raises(ModelError, match="more than 50 layers"):
        read_layers(b"<net><edges>" + b"<edge/>" * 300 + b"</edges></net>")


def layer(number, kind="Sigmoid", reads=True, shape=(1, 2)):
    dims = "".join(f"<dim>{each}</dim>" for each in shape)
    read = f'<input><port id="0">{dims}</port></input>' if reads else ""
    return (
        f'<layer id="{number}" name="n{number}" type="{kind}">{read}<output><port id="1">{dims}</port></output></layer>'
    )


def net(layers, edges):
    listed = "".join(f'<edge from-layer="{a}" from-port="{b}" to-layer="{c}" to-port="{d}"/>' for a, b, c, d in edges)
    return f"<net><layers>{''.join(layers)}</layers><edges>{listed}</edges></net>".encode()


FIRST = layer(0, "Parameter", reads=False)


@pytest.mark.parametrize(
    ("layers", "edges", "reason"),
    [
        ([FIRST, layer(1)], [(1, 1, 1, 0)], "reads no layer before it"),
        ([FIRST, layer(1), layer(2)], [(2, 1, 1, 0), (1, 1, 2, 0)], "reads no layer before it"),
        ([FIRST, layer(1)], [], "reads no layer before it"),
        ([FIRST, layer(1)], [(0, 7, 1, 0)], "reads no layer before it"),
        ([FIRST, layer(1)], [(0, 1, 1, 0), (0, 1, 1, 0)], "same input"),
        ([FIRST, layer(1)], [(0, 1, 1, 0), (0, 1, 9, 0)], "does not exist"),
        ([FIRST, layer(0)], [(0, 1, 0, 0)], "exists already"),
        ([layer(0, "Parameter", reads=False, shape=(1 << 29, 1 << 29))], [], "too large"),
        ([layer(0, "Parameter", reads=False, shape=(0, 3))], [], "empty"),
        ([layer(0, "Parameter", reads=False, shape=())], [], None),
    ],
)
def test_a_network_with_a_circle_or_a_loose_end_is_refused(layers, edges, reason):
    if reason is None:
        assert read_layers(net(layers, edges))[0].shape == ()
        return
    with pytest.raises(ModelError, match=reason):
        read_layers(net(layers, edges))


def test_a_chain_is_read():
    layers = read_layers(net([FIRST, layer(1), layer(2)], [(0, 1, 1, 0), (1, 1, 2, 0)]))
    assert [read.port for each in layers for read in each.inputs] == [("0", "1"), ("1", "1")]


@pytest.mark.parametrize("encoding", ["utf-7", "nosuch", "idna", "punycode", "rot13"])
def test_a_declared_encoding_imports_no_codec(encoding):
    """Python would look for the codec's module, which a process without rights cannot open."""
    layers = read_layers(f'<?xml version="1.0" encoding="{encoding}"?><net/>'.encode())
    assert layers == []
