"""`gated prompts` makes every sentence, keeps recordings, and names missing parts."""

from gated.cues.cue import Rhythm, Situation
from gated.cues.samples import tone, write_wav


def test_prompts_are_made_in_the_named_folder_and_pass_the_check(gate, tmp_path):
    made = gate.run("prompts", "make", tmp_path / "voice", check=0)
    assert f"{2 * len(Situation)} prompts made" in made.stdout
    report = gate.json("prompts", "check", tmp_path / "voice", check=0)
    assert report["ok"]
    assert len(report["prompts"]) == 2 * len(Situation)


def test_by_default_prompts_are_in_the_state_folder_in_the_configured_languages(gate):
    gate.write(cues={"languages": ["en"]})
    gate.run("prompts", "make", check=0)
    assert {p.name for p in (gate.state / "prompts").iterdir()} == {"en", "made.json"}
    assert gate.json("prompts", "check", check=0)["ok"]


def test_a_recording_is_not_changed_and_is_counted(gate, tmp_path):
    gate.write(cues={"languages": ["en"], "prompts": str(tmp_path / "voice")})
    recording = tmp_path / "voice" / "en" / "open.wav"
    recording.parent.mkdir(parents=True)
    write_wav(recording, tone(Rhythm((0.5,), 1)))
    before = recording.read_bytes()
    assert "1 recordings kept" in gate.run("prompts", "make", check=0).stdout
    assert recording.read_bytes() == before


def test_missing_prompts_are_listed_and_the_command_fails(gate, tmp_path):
    done = gate.run("prompts", "check", tmp_path / "nothing", check=3)
    assert done.stdout.count("is missing; `gated prompts make` makes it") == 2 * len(Situation)


def test_without_espeak_the_error_is_one_line_with_the_command_to_install_it(gate, tmp_path):
    done = gate.run("prompts", "make", tmp_path / "voice", check=3, env={"PATH": str(tmp_path)})
    assert done.stderr.strip().count("\n") == 0
    assert "apt-get install espeak-ng" in done.stderr
