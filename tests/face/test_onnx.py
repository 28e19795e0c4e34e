import hashlib
import json
import logging
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import msgspec
import numpy as np
import onnxruntime
import pytest

from gated.errors import ModelError
from gated.face import onnx
from gated.face.manifest import load_set
from gated.face.model_entry import InputLayout, KnownAnswer
from gated.face.onnx import Model, known_input


@pytest.fixture
def entry(tiny):
    return load_set(tiny).embedders[0]


@pytest.fixture
def folder(tiny):
    return Path(tiny.dir)


def changed(entry, **fields):
    return msgspec.structs.replace(entry, **fields)


def copied(folder, entry, tmp_path, data=None):
    (tmp_path / entry.file).write_bytes((folder / entry.file).read_bytes() if data is None else data)
    return tmp_path


def test_a_verified_model_runs(entry, folder):
    outputs = Model.load(entry, folder, threads=1).run(np.ones((1, 3, 112, 112), np.float32))
    assert list(outputs) == ["embedding"]
    assert outputs["embedding"].shape == (1, 48)


def test_every_model_of_a_set_is_verified(tiny, folder):
    models = load_set(tiny).models
    assert models
    for model in models:
        Model.load(model, folder)


def test_the_error_for_a_missing_file_names_its_folder(entry, tmp_path):
    with pytest.raises(ModelError, match=r"fields\.onnx: the model cannot be read .*models\.dir"):
        Model.load(entry, tmp_path)


def test_the_error_for_a_missing_file_names_the_command_that_gets_it(entry, tmp_path):
    with pytest.raises(ModelError, match=r"run `gated models pull`"):
        Model.load(changed(entry, url="https://example.org/m"), tmp_path)


@pytest.mark.parametrize("place", [0, 100, -1])
def test_one_altered_bit_is_refused(entry, folder, tmp_path, place):
    data = bytearray((folder / entry.file).read_bytes())
    data[place] ^= 1
    with pytest.raises(ModelError, match="not the model of the manifest"):
        Model.load(entry, copied(folder, entry, tmp_path, bytes(data)))


def test_a_truncated_file_is_refused(entry, folder, tmp_path):
    data = (folder / entry.file).read_bytes()[:-1]
    with pytest.raises(ModelError, match="replace the file with an unaltered one"):
        Model.load(entry, copied(folder, entry, tmp_path, data))


def test_the_hashed_bytes_are_the_bytes_that_run(entry, folder, tmp_path, monkeypatch):
    """The file is swapped right after it was read. The hashed bytes still run."""
    there = copied(folder, entry, tmp_path)
    digest = hashlib.sha256

    def swap_then_hash(data):
        (there / entry.file).write_bytes(b"something else")
        return digest(data)

    monkeypatch.setattr("gated.face.onnx.hashlib.sha256", swap_then_hash)
    assert Model.load(entry, there).output_names == ("embedding",)


@pytest.mark.parametrize("data", [b"", b"not a model", b"\x00" * 1000])
def test_a_file_that_is_not_onnx_is_refused(entry, folder, tmp_path, data):
    lying = changed(entry, sha256=hashlib.sha256(data).hexdigest())
    with pytest.raises(ModelError, match="no ONNX model"):
        Model.load(lying, copied(folder, entry, tmp_path, data))


@pytest.mark.parametrize(
    "layout",
    [
        InputLayout(size=(96, 112), order="bgr", name="input"),
        InputLayout(size=(112, 128), order="bgr", name="input"),
        InputLayout(size=(112, 112), order="bgr", name="picture"),
    ],
)
def test_an_input_other_than_the_manifests_is_refused(entry, folder, layout):
    with pytest.raises(ModelError, match=r"takes input tensor\(float\).*correct the manifest"):
        Model.load(changed(entry, input=layout), folder)


def test_an_unnamed_input_in_the_manifest_accepts_any_name(entry, folder):
    assert (
        Model.load(changed(entry, input=msgspec.structs.replace(entry.input, name=None)), folder).input_name == "input"
    )


@pytest.mark.parametrize(
    "value",
    [("embedding", 0, 1e6), ("embedding", 48, 0.0), ("other", 0, 0.0), ("embedding", 0, float("nan"))],
)
def test_a_wrong_answer_is_refused(entry, folder, value):
    wrong = KnownAnswer(values=(*entry.known_answer.values, value), tolerance=0.01)
    with pytest.raises(ModelError, match="computes wrongly"):
        Model.load(changed(entry, known_answer=wrong), folder)


def test_another_pre_processing_is_a_wrong_answer(entry, folder):
    swapped = msgspec.structs.replace(entry.input, order="rgb")
    with pytest.raises(ModelError, match="computes wrongly"):
        Model.load(changed(entry, input=swapped), folder)


def test_without_a_known_answer_the_file_is_not_even_read(entry, tmp_path):
    with pytest.raises(ModelError, match=r"no known answer .*models\.set"):
        Model.load(changed(entry, known_answer=None), tmp_path)


def test_an_input_that_the_model_cannot_take_is_a_model_error(entry, folder):
    with pytest.raises(ModelError, match="failed on its input"):
        Model.load(entry, folder).run(np.ones((1, 3, 4, 4), np.float32))


@pytest.mark.parametrize("release", ["1.25.9", "1.27.0", "1.260.0", "2.26.0"])
def test_another_release_of_onnxruntime_is_not_trusted(entry, folder, monkeypatch, release):
    monkeypatch.setattr(onnxruntime, "__version__", release)
    with pytest.raises(ModelError, match=rf"onnxruntime {release} .*pip install 'onnxruntime==1\.26"):
        Model.load(entry, folder)


def test_the_known_input_never_changes():
    layout = InputLayout(size=(32, 16), order="rgb")
    pattern = known_input(layout)
    assert pattern[0, :, 0, 0].tolist() == [128.0, 195.0, 201.0]
    assert hashlib.sha256(pattern.astype(np.uint8).tobytes()).hexdigest()[:16] == "8cc9426653ad6ae7"


WATCHED = """
    import json, os, sys
    opened = []
    def audit(name, arguments):
        if name in ("socket.connect", "socket.getaddrinfo", "socket.sendto", "socket.bind"):
            opened.append(name)
    sys.addaudithook(audit)
    from pathlib import Path
    from gated.config import ModelSettings
    from gated.face.manifest import load_set
    from gated.face.onnx import Model, known_input
    models = ModelSettings(dir=sys.argv[1], set="tiny", manifest=f"{sys.argv[1]}/manifest.toml")
    for entry in load_set(models).models:
        Model.load(entry, Path(models.dir)).run(known_input(entry.input))
    files = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
    links = [os.readlink(file) for file in files if os.path.lexists(file)]
    opened += [link for link in links if link.startswith("socket:")]
    for kind in ("tcp", "tcp6", "udp", "udp6"):
        inodes = {line.split()[9] for line in open(f"/proc/self/net/{kind}").readlines()[1:]}
        opened += [kind for link in links if link.strip("socket:[]") in inodes]
    print(json.dumps({"opened": opened, "telemetry": os.environ.get("ORT_DISABLE_TELEMETRY")}))
"""


def test_running_models_writes_no_file_and_opens_no_connection(tiny, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    folders = {f"XDG_{kind}_HOME": str(home / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA", "STATE")}
    environment = {"HOME": str(home), "TMPDIR": str(home), "PATH": os.environ["PATH"], **folders}
    script = [sys.executable, "-B", "-c", textwrap.dedent(WATCHED), tiny.dir]
    done = subprocess.run(script, env=environment, cwd=home, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"opened": [], "telemetry": "1"}
    assert list(home.rglob("*")) == []


def test_the_installed_runtime_contains_no_telemetry():
    library = Path(onnxruntime.__file__).parent / "capi"
    for part in library.glob("*.so*"):
        assert b"events.data.microsoft.com" not in part.read_bytes()


def test_importing_the_chapter_does_not_load_the_runtime():
    code = "import sys, gated.face.pipeline; sys.exit('onnxruntime' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_brain_loads_no_code_that_looks():
    looks = {f"gated.face.{name}" for name in ("onnx", "detect", "align", "embed", "pad", "pipeline")}
    code = f"import sys, gated.brain; print(sorted({looks} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


PI = "mount -t tmpfs t /sys/class && mkdir -p /sys/class/drm/card0/device /sys/class/drm/card1/device && exec "


def test_warnings_about_a_pis_graphics_cards_become_one_log_line():
    """The real runtime, with a /sys/class/drm as on a Pi: cards without a vendor."""
    script = (
        "import logging, sys; logging.basicConfig(level=logging.INFO, format='%(levelname)s %(message)s');"
        "from gated.face import onnx; onnx._onnxruntime(); print('of others', file=sys.stderr)"
    )
    command = ["unshare", "--mount", "sh", "-c", PI + '"$0" -c "$1"', sys.executable, script]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    first, second = done.stderr.splitlines()
    assert first.startswith("INFO onnxruntime reported while loading: no known graphics card")
    assert second == "of others"


def test_other_output_of_the_import_is_passed_on(capsys, caplog):
    with caplog.at_level(logging.INFO, "gated.face.onnx"):
        onnx._log_warnings(["[E:onnxruntime:Default] broken", "another library"])
        assert capsys.readouterr().err == "[E:onnxruntime:Default] broken\nanother library\n"
        assert caplog.records == []
        onnx._log_warnings(["\x1b[0;93m2026 [W:onnxruntime:Default, x.cc:1 F] odd"] * 3)
    assert capsys.readouterr().err == ""
    assert len(caplog.records) == 1


def test_the_plain_layout_gives_the_same_outputs(entry, folder):
    blocked, plain = (Model.load(entry, folder, plain_layout=plain) for plain in (False, True))
    given = known_input(entry.input)
    for name, output in blocked.run(given).items():
        np.testing.assert_allclose(output, plain.run(given)[name], atol=1e-5)
