"""What people get in every situation, as one table: light, sound and touch or screen at once, and never a name.

| situation    | lamp, and its rhythm      | colour     | sound, and then            | pad           | word        |
|--------------|---------------------------|------------|----------------------------|---------------|-------------|
| fire         | all four, 2 a second      | white      | ISO 8201 evacuation signal | nearly steady | 火警 FIRE   |
| alarm        | triangle, threes          | amber      | eight beeps, then twos     | 2 a second    | 警报 ALARM  |
| answered     | ring and tick, long       | white-blue | two short                  | long          | 接通 ANSWER |
| calling      | ring and card, slow       | white      | rings, and goes on         | slow          | 呼叫 CALL   |
| lockdown     | triangle and ring, slow   | amber      | two long                   | three long    | 关闭 CLOSED |
| out_of_order | triangle, slow            | amber      | one very long              | two long      | 停用 BROKEN |
| open         | tick, steady              | white-blue | two long, then a slow tick | steady        | 开 OPEN     |
| held_open    | triangle and tick, threes | white      | two, then a tick every 2 s | slow taps     | 关门 SHUT   |
| free_passage | ring and tick, winking    | white-blue | one long                   | two very long | 请进 ENTER  |
| resting      | card, twos                | amber      | three and three            | three, slow   | 另选 OTHER  |
| refused      | card, 1 a second          | amber      | three short                | three short   | 刷卡 CARD   |
| fault        | triangle and card, slow   | amber      | one, then a tick every 5 s | one long      | 故障 FAULT  |
| closer       | ring, quick               | blue       | ticks, faster when nearer  | -             | 靠近 CLOSER |
| left         | ring, twos                | blue       | the same                   | -             | 向左 LEFT   |
| right        | ring, threes              | blue       | the same                   | -             | 向右 RIGHT  |
| up           | ring, long                | blue       | the same                   | -             | 抬头 UP     |
| down         | ring, short               | blue       | the same                   | -             | 低头 DOWN   |
| looking      | ring, very long           | blue       | two ticks a second         | -             | 稍候 WAIT   |
| idle         | ring, a blink every 3 s   | white      | silence                    | -             | 你好 HELLO  |

A steady light or pad says one thing only: you can pass. No light is faster than 2 Hz (WCAG 2.3.1 allows 3). Every beep
is 1 kHz, told apart by its rhythm (ISO 24500), which old ears hear too. A face, a card and a guard open alike; nobody
is told why a face was not enough, and all who are refused are told the same: which ways there are.
"""

from collections.abc import Mapping
from types import MappingProxyType

from gated.cues.cue import NOTHING, STEADY, Colour, Cue, Language, Pulse, Shape, Situation


def _cue(
    shapes: tuple[Shape, ...],
    light: tuple[float, ...],
    colour: Colour,
    pictogram: str,
    *,
    zh: tuple[str, str],
    en: tuple[str, str],
    tone: Pulse = NOTHING,
    tick: Pulse = NOTHING,
    touch: Pulse = NOTHING,
    is_spoken: bool = True,
    is_repeated: bool = False,
    is_urgent: bool = False,
) -> Cue:
    """A row; `zh` and `en` are word and sentence."""
    words, sentences = (MappingProxyType({"zh": zh[i], "en": en[i]}) for i in (0, 1))
    return Cue(
        shapes, Pulse(light), colour, words, sentences, pictogram, tone, tick, touch, is_spoken, is_repeated, is_urgent
    )


_RING, _TICK, _CARD, _TRIANGLE = ((shape,) for shape in Shape)
_TICKING = Pulse((0.05, 0.45))
_WHITE, _BLUE, _WHITE_BLUE, _AMBER = Colour

PLAN: Mapping[Situation, Cue] = MappingProxyType(
    {
        Situation.FIRE: _cue(
            tuple(Shape), (0.25, 0.25), _WHITE, "run",
            zh=("火警", "火警，门已打开，请离开"), en=("FIRE", "Fire alarm. The gate is open. Please leave."),
            tick=Pulse((0.5, 0.5, 0.5, 0.5, 0.5, 1.5)), touch=Pulse((0.9, 0.1)), is_repeated=True, is_urgent=True,
        ),
        Situation.ALARM: _cue(
            _TRIANGLE, (0.3, 0.3, 0.3, 0.3, 0.3, 1.0), _AMBER, "siren",
            zh=("警报", "门没有关好，请关门"), en=("ALARM", "The gate is not shut. Please shut it."),
            tone=Pulse((0.25, 0.25), 8), tick=Pulse((0.25, 0.25, 0.25, 1.25)), touch=Pulse((0.25, 0.25)),
            is_repeated=True, is_urgent=True,
        ),
        Situation.ANSWERED: _cue(
            _RING + _TICK, (1.7, 0.3), _WHITE_BLUE, "person",
            zh=("接通", "有人应答"), en=("ANSWER", "Somebody has answered."),
            tone=Pulse((0.1, 0.1), 2), touch=Pulse((0.6, 0.2)),
        ),
        Situation.CALLING: _cue(
            _RING + _CARD, (1.0, 1.0), _WHITE, "bell",
            zh=("呼叫", "正在呼叫，请等候"), en=("CALL", "Calling. Please wait."),
            tone=Pulse((0.4, 0.2, 0.4, 1.0), 1), tick=Pulse((0.4, 0.2, 0.4, 2.0)), touch=Pulse((0.3, 1.7)),
        ),
        Situation.LOCKDOWN: _cue(
            _TRIANGLE + _RING, (2.0, 1.0), _AMBER, "barred",
            zh=("关闭", "现在不能进入，离开请按按钮"), en=("CLOSED", "No entry now. To leave, press the button."),
            tone=Pulse((0.8, 0.4), 2), touch=Pulse((1.0, 0.5), 3),
        ),
        Situation.OUT_OF_ORDER: _cue(
            _TRIANGLE, (1.5, 1.5), _AMBER, "triangle",
            zh=("停用", "门禁故障，请找值班人员"), en=("BROKEN", "Out of order. Please fetch the warden."),
            tone=Pulse((1.2, 0.2), 1), touch=Pulse((1.0, 0.5), 2),
        ),
        Situation.OPEN: _cue(
            _TICK, STEADY.pattern, _WHITE_BLUE, "tick",
            zh=("开", "门开了"), en=("OPEN", "The gate is open."),
            tone=Pulse((0.6, 0.2), 2), tick=Pulse((0.05, 0.95)), touch=STEADY,
        ),
        Situation.HELD_OPEN: _cue(
            _TRIANGLE + _TICK, (0.5, 0.5, 0.5, 0.5, 0.5, 1.5), _WHITE, "shut",
            zh=("关门", "请关门"), en=("SHUT", "Please shut the gate."),
            tone=Pulse((0.2, 0.2), 2), tick=Pulse((0.1, 1.9)), touch=Pulse((0.1, 0.9)), is_repeated=True,
        ),
        Situation.FREE_PASSAGE: _cue(
            _RING + _TICK, (2.75, 0.25), _WHITE_BLUE, "door",
            zh=("请进", "门开着，请进"), en=("ENTER", "The gate is open. Please walk in."),
            tone=Pulse((0.6, 0.2), 1), touch=Pulse((1.5, 0.5), 2),
        ),
        Situation.RESTING: _cue(
            _CARD, (0.5, 0.5, 0.5, 1.5), _AMBER, "ways",
            zh=("另选", "请稍后再试，或换一种方式"), en=("OTHER", "Please try later, or another way in."),
            tone=Pulse((0.15, 0.15, 0.15, 0.15, 0.15, 0.6), 2), touch=Pulse((0.2, 0.6), 3),
        ),
        Situation.REFUSED: _cue(
            _CARD, (0.5, 0.5), _AMBER, "card",
            zh=("刷卡", "请刷卡、输密码或按呼叫键"), en=("CARD", "Please use card or code, or press call."),
            tone=Pulse((0.15, 0.15), 3), touch=Pulse((0.2, 0.2), 3),
        ),
        Situation.FAULT: _cue(
            _TRIANGLE + _CARD, (1.0, 2.0), _AMBER, "triangle-card",
            zh=("故障", "不能识别人脸，请刷卡或输密码"), en=("FAULT", "Faces do not work. Please use card or code."),
            tone=Pulse((0.5, 0.1), 1), tick=Pulse((0.05, 4.95)), touch=Pulse((1.0, 0.5), 1),
        ),
        Situation.CLOSER: _cue(
            _RING, (0.25, 0.5), _BLUE, "closer",
            zh=("靠近", "请靠近"), en=("CLOSER", "Please come closer."), tick=_TICKING,
        ),
        Situation.LEFT: _cue(
            _RING, (0.25, 0.25, 0.25, 0.75), _BLUE, "left",
            zh=("向左", "请向左"), en=("LEFT", "To the left."), tick=_TICKING,
        ),
        Situation.RIGHT: _cue(
            _RING, (0.25, 0.25, 0.25, 0.25, 0.25, 0.75), _BLUE, "right",
            zh=("向右", "请向右"), en=("RIGHT", "To the right."), tick=_TICKING,
        ),
        Situation.UP: _cue(
            _RING, (0.8, 0.4), _BLUE, "up",
            zh=("抬头", "请抬头"), en=("UP", "Please lift your head."), tick=_TICKING,
        ),
        Situation.DOWN: _cue(
            _RING, (0.25, 0.75), _BLUE, "down",
            zh=("低头", "请低头"), en=("DOWN", "Please lower your head."), tick=_TICKING,
        ),
        Situation.LOOKING: _cue(
            _RING, (1.0, 0.3), _BLUE, "looking",
            zh=("稍候", "请稍候"), en=("WAIT", "One moment."), tick=_TICKING, is_spoken=False,
        ),
        Situation.IDLE: _cue(
            _RING, (0.25, 2.75), _WHITE, "eye",
            zh=("你好", "有摄像头。请走近、刷卡、输密码或按呼叫键"),
            en=("HELLO", "The camera is on. Come near, use card or code, or press call."), is_spoken=False,
        ),
    }
)  # fmt: skip
"""The table."""

NOTES: Mapping[str, Mapping[Language, str]] = MappingProxyType(
    {
        "network": MappingProxyType({"zh": "网络中断", "en": "no network"}),
        "server": MappingProxyType({"zh": "社区无回应", "en": "office silent"}),
        "clock": MappingProxyType({"zh": "时间不准", "en": "clock unsure"}),
        "journal": MappingProxyType({"zh": "存储故障", "en": "disk trouble"}),
        "credentials": MappingProxyType({"zh": "数据故障", "en": "database trouble"}),
        "gallery": MappingProxyType({"zh": "数据故障", "en": "database trouble"}),
    }
)
"""What is lost and keeps nobody out: a small note on the screen beside every cue, for whoever looks after the gate."""
