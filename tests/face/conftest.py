"""Tiny models that need no download.

A white spot is a face. Coarse light and shade is its identity. Green is bona fide.
"""

import base64
import functools
import hashlib
import ssl
import struct
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import trustme
from onnx import TensorProto, helper, numpy_helper
from PIL import Image, ImageOps

from gated.config import FaceSettings, ModelSettings
from gated.face.model_entry import InputLayout
from gated.face.model_files import pull_set
from gated.face.onnx import known_input
from gated.face.pipeline import FacePipeline, load_pipeline
from gated.frame import Frame, i420_from_rgb, lores_size_for

SHARED = Path(__file__).parents[2].parent / "shared"
LANDMARKS = [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]


def constant(name, values):
    return numpy_helper.from_array(np.asarray(values, np.float32), name)


def saved(path: Path, nodes, constants, outputs, size) -> Path:
    source = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, *size])
    results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    graph = helper.make_graph(nodes, "tiny", [source], results, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, str(path))
    return path


def detector(path: Path, box_px: float = 80) -> Path:
    """Write a detector: each cell of 8 px with a mean above 115 is a face around its corner, `box_px` a side."""
    shape = numpy_helper.from_array(np.array([1, -1, 1], np.int64), "flat")
    nodes, constants, outputs = [], [shape, constant("dark", 115), constant("soft", 15), constant("zero", 0)], []
    for stride in (8, 16, 32):
        eyes = (np.array(LANDMARKS) - (56, 66)) / 112 * box_px / stride
        logs = [0, 0, *np.log([box_px / stride] * 2)]
        strength = 1 if stride == 8 else 0
        constants += [
            constant(f"k{stride}", eyes.reshape(1, 1, 10)),
            constant(f"b{stride}", np.reshape(logs, (1, 1, 4))),
        ]
        constants += [constant(f"on{stride}", strength)]
        nodes += [
            helper.make_node("AveragePool", ["input"], [f"p{stride}"], kernel_shape=[stride] * 2, strides=[stride] * 2),
            helper.make_node("ReduceMean", [f"p{stride}"], [f"m{stride}"], axes=[1], keepdims=1),
            helper.make_node("Sub", [f"m{stride}", "dark"], [f"d{stride}"]),
            helper.make_node("Div", [f"d{stride}", "soft"], [f"e{stride}"]),
            helper.make_node("Sigmoid", [f"e{stride}"], [f"s{stride}"]),
            helper.make_node("Mul", [f"s{stride}", f"on{stride}"], [f"t{stride}"]),
            helper.make_node("Reshape", [f"t{stride}", "flat"], [f"cls_{stride}"]),
            helper.make_node("Identity", [f"cls_{stride}"], [f"obj_{stride}"]),
            helper.make_node("Mul", [f"cls_{stride}", "zero"], [f"z{stride}"]),
            helper.make_node("Add", [f"z{stride}", f"b{stride}"], [f"bbox_{stride}"]),
            helper.make_node("Add", [f"z{stride}", f"k{stride}"], [f"kps_{stride}"]),
        ]
        outputs += [f"{kind}_{stride}" for kind in ("cls", "obj", "bbox", "kps")]
    return saved(path, nodes, constants, outputs, ("height", "width"))


def pad_net(path: Path) -> Path:
    """Write a PAD network: the softmax of the channels' means, divided by 20. Green is bona fide."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["input"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("Div", ["flat", "soft"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"]),
    ]
    return saved(path, nodes, [constant("soft", 20)], ["probabilities"], (80, 80))


def embedder(path: Path, bias: float = 0.0) -> Path:
    """Write an embedder: light and shade in 4 x 4 fields a channel, minus their mean: 48 numbers. Each has `bias`."""
    nodes = [
        helper.make_node("AveragePool", ["input"], ["fields"], kernel_shape=[28, 28], strides=[28, 28]),
        helper.make_node("Flatten", ["fields"], ["flat"]),
        helper.make_node("ReduceMean", ["flat"], ["mean"], axes=[1], keepdims=1),
        helper.make_node("Sub", ["flat", "mean"], ["shade"]),
        helper.make_node("Add", ["shade", "bias"], ["embedding"]),
    ]
    return saved(path, nodes, [constant("bias", bias)], ["embedding"], (112, 112))


def entry(path: Path, role: str, size: tuple[int, int], output: str, more: str = "") -> str:
    """Return a manifest entry for a tiny model, with its own answer as the known one."""
    layout = InputLayout(size=size, order="bgr")
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    answer = session.run([output], {"input": known_input(layout)})[0].reshape(-1)
    places = [0, answer.size // 2, answer.size - 1]
    values = ", ".join(f'["{output}", {i}, {float(answer[i])!r}]' for i in places)
    return f"""
[models.{path.stem}]
role = "{role}"
file = "{path.name}"
sha256 = "{hashlib.sha256(path.read_bytes()).hexdigest()}"
licence = "ours"
grade = "demo"
input = {{ name = "input", size = [{size[0]}, {size[1]}], order = "bgr" }}
known_answer = {{ tolerance = 0.01, values = [{values}] }}
{more}
"""


def tiny_manifest(folder: Path) -> str:
    return f"""
[sets.tiny]
grade = "demo"
about = "For tests."
detector = "spot"
pad = ["green"]
embedder = "fields"
pad_threshold = 0.25
{entry(detector(folder / "spot.onnx"), "detector", (320, 256), "bbox_8", "second_look = 128")}
{
        entry(
            pad_net(folder / "green.onnx"),
            "pad",
            (80, 80),
            "probabilities",
            "crop_scale = 1.5" + chr(10) + "bona_fide = 1",
        )
    }
{
        entry(
            embedder(folder / "fields.onnx"),
            "embedder",
            (112, 112),
            "embedding",
            f"dimension = 48{chr(10)}threshold = 0.7{chr(10)}landmarks = {LANDMARKS}",
        )
    }
"""


class Shelf(ThreadingHTTPServer):
    """An HTTPS server of files. `todo`, then `always`, choose each response; None: that of a correct server."""

    daemon_threads = True

    def __init__(self, authority):
        super().__init__(("127.0.0.1", 0), Answer)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.begin()

    def begin(self):
        self.files = {}
        self.asked, self.todo, self.always = [], [], None
        self.is_over = threading.Event()

    def url(self, name):
        return f"https://localhost:{self.server_port}/{name}"

    def handle_error(self, request, client_address):
        """A client that hangs up is part of the tests."""


class Answer(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        shelf = self.server
        begin = int((self.headers["Range"] or "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        shelf.asked.append((self.path, begin, dict(self.headers)))
        how = shelf.todo.pop(0) if shelf.todo else shelf.always
        content = shelf.files.get(self.path, b"")
        (how or plainly)(self, content, begin)

    def head(self, status, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()


def plainly(answer, content, begin):
    """Respond as a correct server."""
    if begin >= len(content) > 0:
        answer.head(416, Content_Range=f"bytes */{len(content)}", Content_Length=0)
        return
    rest = content[begin:]
    place = {"Content_Range": f"bytes {begin}-{len(content) - 1}/{len(content)}"} if begin else {}
    answer.head(206 if begin else 200, Content_Length=len(rest), **place)
    answer.wfile.write(rest)


@pytest.fixture(scope="session")
def authority():
    return trustme.CA()


@pytest.fixture(scope="session")
def _https_server(authority):
    shelf = Shelf(authority)
    threading.Thread(target=functools.partial(shelf.serve_forever, 0.02), daemon=True).start()
    yield shelf
    shelf.shutdown()
    shelf.server_close()


@pytest.fixture
def https_shelf(_https_server, authority, tmp_path, monkeypatch):
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    _https_server.begin()
    yield _https_server
    _https_server.is_over.set()


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> ModelSettings:
    """A folder with the tiny models and their manifest."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "manifest.toml").write_text(tiny_manifest(folder))
    return ModelSettings(dir=str(folder), set="tiny", manifest=str(folder / "manifest.toml"))


@pytest.fixture(scope="session")
def tiny_pair(tmp_path_factory) -> ModelSettings:
    """The tiny models with a second embedder, which has a template and a contrast of its own. The set is centred."""
    folder = tmp_path_factory.mktemp("pair")
    text = tiny_manifest(folder).replace('"fields"', '["fields", "shades"]').replace("[sets.tiny]", "[sets.pair]", 1)
    text = text.replace("pad_threshold", "weights = [3, 1]\ncentred = true\nthreshold = 0.6\npad_threshold", 1)
    marks = [[x * 0.8 + 11.2, y * 0.8 + 11.2] for x, y in LANDMARKS]
    mean = base64.b64encode(struct.pack("<48e", *[0.01] * 48)).decode()
    more = f'dimension = 48\nthreshold = 0.7\nmean = "{mean}"\nlandmarks = {marks}'
    text = text.replace("threshold = 0.7\n", f'threshold = 0.7\nmean = "{mean}"\n', 1)
    text += entry(embedder(folder / "shades.onnx", bias=0.5), "embedder", (112, 112), "embedding", more)
    (folder / "manifest.toml").write_text(text)
    return ModelSettings(dir=str(folder), set="pair", manifest=str(folder / "manifest.toml"))


@pytest.fixture
def pipeline(tiny) -> FacePipeline:
    return load_pipeline(tiny, FaceSettings(threads=1, max_saturated=0.9))


@pytest.fixture
def view() -> Callable[..., Frame]:
    """A function that draws a view of 1280 x 960 with a white spot (a face) at each place.

    `person` seeds light and shade of the whole view.
    """

    def make(*places: tuple[int, int], at: float = 0.0, number: int = 0, person: int = 1, spot: int = 48) -> Frame:
        rng = np.random.default_rng(person)
        coarse = rng.integers(30, 80, (6, 8, 3)).astype(np.uint8)
        main = np.asarray(Image.fromarray(coarse).resize((1280, 960), Image.Resampling.NEAREST)).copy()
        main += np.random.default_rng(0).integers(0, 12, main.shape, dtype=np.uint8)
        for x, y in places:
            main[y - spot // 2 : y + spot // 2, x - spot // 2 : x + spot // 2] = 255
        small = np.asarray(Image.fromarray(main).resize((320, 240), Image.Resampling.BOX))
        return Frame(main, i420_from_rgb(small), at, number)

    return make


def require_shared() -> None:
    """Skip the test without the real models and pictures."""
    if not SHARED.exists():
        pytest.skip("needs the real models and pictures beside the project")


@pytest.fixture(scope="session")
def real_models() -> ModelSettings:
    require_shared()
    return ModelSettings(dir=str(SHARED / "models"), set="evaluation")


@pytest.fixture(scope="session")
def site_models(tmp_path_factory) -> ModelSettings:
    """The set "site", installed from the publishers' files on a stick."""
    require_shared()
    settings = ModelSettings(dir=str(tmp_path_factory.mktemp("site")), set="site")
    pull_set(settings, "site", source=SHARED / "models", accept=True)
    return settings


@pytest.fixture(scope="session")
def real_pipeline(real_models) -> FacePipeline:
    return load_pipeline(real_models, FaceSettings())


@pytest.fixture(scope="session")
def picture() -> Callable[[str], Frame]:
    """A function that loads a real picture, upright and at most 1280 px on its longer side, as a frame."""

    def load(name: str) -> Frame:
        with Image.open(SHARED / "faces" / f"{name}.jpg") as file:
            upright = ImageOps.exif_transpose(file).convert("RGB")
        upright.thumbnail((1280, 1280), Image.Resampling.LANCZOS)
        small = upright.resize(lores_size_for(*upright.size), Image.Resampling.BOX)
        return Frame(np.asarray(upright), i420_from_rgb(np.asarray(small)), 0.0, 0)

    return load
