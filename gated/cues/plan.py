"""The cue of every situation, in one table: light, sound, touch and screen at once, and never a person's name.

| situation    | lamp, and its rhythm      | colour     | sound, and then            | pad           | word        |
|--------------|---------------------------|------------|----------------------------|---------------|-------------|
| fire         | all four, 2 a second      | white      | ISO 8201 evacuation signal | nearly steady | 火警 FIRE   |
| alarm        | triangle, threes          | amber      | eight beeps, then twos     | 2 a second    | 警报 ALARM  |
| opening      | ring and tick, 1 a second | white-blue | one short and one long     | longer        | 开门 OPENS  |
| answered     | ring and tick, long       | white-blue | two short                  | long          | 接通 ANSWER |
| declined     | ring and card, long short | amber      | long and short, twice      | short long    | 没人 NOBODY |
| unanswered   | ring and card, blinks     | amber      | one long and three short   | long short    | 没接 MISSED |
| unreachable  | triangle, ring, two short | amber      | two short and one long     | two and long  | 断线 OFFLINE |
| calling      | ring and card, slow       | white      | rings, and goes on         | slow          | 呼叫 CALL   |
| lockdown     | triangle and ring, slow   | amber      | two long                   | three long    | 关闭 CLOSED |
| out_of_order | triangle, slow            | amber      | one very long              | two long      | 停用 BROKEN |
| open         | tick, steady              | white-blue | two long, then a slow tick | steady        | 开 OPEN     |
| enrolling    | ring and card, one-two    | blue       | short and long, then ticks | one-two, slow | 登记 ENROL  |
| held_open    | triangle and tick, threes | white      | two, then a tick every 2 s | slow taps     | 关门 SHUT   |
| free_passage | ring and tick, winking    | white-blue | one long                   | two very long | 请进 ENTER  |
| code         | ring and card, very long  | blue       | two very short             | two taps      | 输入 PIN    |
| second       | ring and card, long twos  | blue       | short, long, short         | the same      | 继续 MORE   |
| second_face  | ring and card, long threes | blue      | long, short, long          | the same      | 走近 NEAR   |
| resting      | card, twos                | amber      | three and three            | three, slow   | 另选 OTHER  |
| refused      | card, 1 a second          | amber      | three short                | three short   | 刷卡 CARD   |
| fault        | triangle and card, slow   | amber      | one, then a tick every 5 s | one long      | 故障 FAULT  |
| closer       | ring, quick               | blue       | ticks, faster when nearer  | -             | 靠近 CLOSER |
| back         | ring, fours               | blue       | the same, slow when near   | -             | 后退 BACK   |
| left         | ring, twos                | blue       | the same                   | -             | 向左 LEFT   |
| right        | ring, threes              | blue       | the same                   | -             | 向右 RIGHT  |
| up           | ring, long                | blue       | the same                   | -             | 抬头 UP     |
| down         | ring, short               | blue       | the same                   | -             | 低头 DOWN   |
| looking      | ring, very long           | blue       | two ticks a second         | -             | 稍候 WAIT   |
| idle         | ring, a blink every 3 s   | white      | silence                    | -             | 你好 HELLO  |

A steady light or pad means one thing only: you can pass. No light flashes faster than 2 Hz (WCAG 2.3.1 allows 3). Every
beep is 1 kHz, which old ears hear too; its rhythm gives the meaning (ISO 24500). The cue of a grant is the same for a
face, a card and a guard. A refusal gives no reason: every refused person gets the same list of credentials.
The table is for a gate with a card reader. The texts of a gate name only its fitted parts (see `gated.cues.words`).
"""

from collections.abc import Mapping
from types import MappingProxyType

from gated.cues.cue import NO_RHYTHM, STEADY, Colour, Cue, Language, Rhythm, Shape, Situation, Tail


def _cue(
    shapes: tuple[Shape, ...],
    lamp: tuple[float, ...],
    colour: Colour,
    pictogram: str,
    *,
    zh: tuple[str, str],
    en: tuple[str, str],
    tone: Rhythm = NO_RHYTHM,
    tick: Rhythm = NO_RHYTHM,
    touch: Rhythm = NO_RHYTHM,
    is_spoken: bool = True,
    is_repeated: bool = False,
    is_urgent: bool = False,
    tail: Tail = "none",
    names_credential: bool = False,
    names_phone: bool = False,
) -> Cue:
    """Return one row of the table. `zh` and `en` are (word, sentence)."""
    words, sentences = (MappingProxyType({"zh": zh[i], "en": en[i]}) for i in (0, 1))
    return Cue(
        shapes, Rhythm(lamp), colour, words, sentences, pictogram, tone, tick, touch, is_spoken, is_repeated, is_urgent,
        tail, names_credential, names_phone,
    )  # fmt: skip


_RING, _TICK, _CARD, _TRIANGLE = ((shape,) for shape in Shape)
_TICKING = Rhythm((0.05, 0.45))
_WHITE, _BLUE, _WHITE_BLUE, _AMBER = Colour

PLAN: Mapping[Situation, Cue] = MappingProxyType(
    {
        Situation.FIRE: _cue(
            tuple(Shape), (0.25, 0.25), _WHITE, "run",
            zh=("火警", "火警，门已打开，请离开"), en=("FIRE", "Fire alarm. The gate is open. Please leave."),
            tick=Rhythm((0.5, 0.5, 0.5, 0.5, 0.5, 1.5)), touch=Rhythm((0.9, 0.1)), is_repeated=True, is_urgent=True,
        ),
        Situation.ALARM: _cue(
            _TRIANGLE, (0.3, 0.3, 0.3, 0.3, 0.3, 1.0), _AMBER, "siren",
            zh=("警报", "门没有关好，请关门"), en=("ALARM", "The gate is not shut. Please shut it."),
            tone=Rhythm((0.25, 0.25), 8), tick=Rhythm((0.25, 0.25, 0.25, 1.25)), touch=Rhythm((0.25, 0.25)),
            is_repeated=True, is_urgent=True,
        ),
        Situation.OPENING: _cue(
            _RING + _TICK, (0.7, 0.3), _WHITE_BLUE, "person-door",
            zh=("开门", "有人应答，正在开门"), en=("OPENS", "Somebody has answered. The gate opens."),
            tone=Rhythm((0.1, 0.1, 0.4, 0.1), 1), touch=Rhythm((0.8, 0.2)),
        ),
        Situation.ANSWERED: _cue(
            _RING + _TICK, (1.7, 0.3), _WHITE_BLUE, "person",
            zh=("接通", "有人应答，请等候"), en=("ANSWER", "Somebody has answered. Please wait."),
            tone=Rhythm((0.1, 0.1), 2), touch=Rhythm((0.6, 0.2)),
        ),
        Situation.DECLINED: _cue(
            _RING + _CARD, (1.5, 0.5, 0.5, 0.5), _AMBER, "person-barred",
            zh=("没人", "现在没有人能来"), en=("NOBODY", "Nobody can come now."),
            tone=Rhythm((0.4, 0.15, 0.15, 0.15), 2), touch=Rhythm((0.2, 0.2, 0.8, 0.4), 2),
            tail="others", names_phone=True,
        ),
        Situation.UNANSWERED: _cue(
            _RING + _CARD, (0.5, 1.5), _AMBER, "bell-barred",
            zh=("没接", "没有人应答"), en=("MISSED", "Nobody answers."),
            tone=Rhythm((0.4, 0.2, 0.15, 0.15, 0.15, 0.15, 0.15, 0.2), 1), touch=Rhythm((0.8, 0.4, 0.2, 0.4), 2),
            tail="others", names_phone=True,
        ),
        Situation.UNREACHABLE: _cue(
            _TRIANGLE + _RING, (0.5, 0.5, 0.5, 1.0), _AMBER, "cut",
            zh=("断线", "现在联系不到社区"), en=("OFFLINE", "The office cannot be reached."),
            tone=Rhythm((0.15, 0.1, 0.15, 0.1, 0.8, 0.2), 1), touch=Rhythm((0.2, 0.2, 0.2, 0.2, 0.8, 0.6), 2),
            tail="others", names_phone=True,
        ),
        Situation.CALLING: _cue(
            _RING + _CARD, (1.0, 1.0), _WHITE, "bell",
            zh=("呼叫", "正在呼叫，请等候"), en=("CALL", "Calling. Please wait."),
            tone=Rhythm((0.4, 0.2, 0.4, 1.0), 1), tick=Rhythm((0.4, 0.2, 0.4, 2.0)), touch=Rhythm((0.3, 1.7)),
        ),
        Situation.LOCKDOWN: _cue(
            _TRIANGLE + _RING, (2.0, 1.0), _AMBER, "barred",
            zh=("关闭", "现在不能进入"), en=("CLOSED", "No entry now."),
            tone=Rhythm((0.8, 0.4), 2), touch=Rhythm((1.0, 0.5), 3), tail="exit", names_phone=True,
        ),
        Situation.OUT_OF_ORDER: _cue(
            _TRIANGLE, (1.5, 1.5), _AMBER, "triangle",
            zh=("停用", "门禁故障"), en=("BROKEN", "Out of order."),
            tone=Rhythm((1.2, 0.2), 1), touch=Rhythm((1.0, 0.5), 2), tail="phone", names_phone=True,
        ),
        Situation.OPEN: _cue(
            _TICK, STEADY.pattern, _WHITE_BLUE, "tick",
            zh=("开", "门开了"), en=("OPEN", "The gate is open."),
            tone=Rhythm((0.6, 0.2), 2), tick=Rhythm((0.05, 0.95)), touch=STEADY,
        ),
        Situation.ENROLLING: _cue(
            _RING + _CARD, (0.5, 0.5, 1.5, 0.5), _BLUE, "enrol",
            zh=("登记", "正在登记人脸，不是您本人请让开"),
            en=("ENROL", "Enrolling a face. If it is not yours, please step aside."),
            tone=Rhythm((0.1, 0.2, 0.6, 0.4), 2), tick=Rhythm((0.1, 0.2, 0.1, 1.6)), touch=Rhythm((0.4, 0.4, 0.4, 1.2)),
        ),
        Situation.HELD_OPEN: _cue(
            _TRIANGLE + _TICK, (0.5, 0.5, 0.5, 0.5, 0.5, 1.5), _WHITE, "shut",
            zh=("关门", "请关门"), en=("SHUT", "Please shut the gate."),
            tone=Rhythm((0.2, 0.2), 2), tick=Rhythm((0.1, 1.9)), touch=Rhythm((0.1, 0.9)), is_repeated=True,
        ),
        Situation.FREE_PASSAGE: _cue(
            _RING + _TICK, (2.75, 0.25), _WHITE_BLUE, "door",
            zh=("请进", "门开着，请进"), en=("ENTER", "The gate is open. Please walk in."),
            tone=Rhythm((0.6, 0.2), 1), touch=Rhythm((1.5, 0.5), 2),
        ),
        Situation.CODE: _cue(
            _RING + _CARD, (1.2, 0.4), _BLUE, "hash",
            zh=("输入", "请输入"), en=("PIN", "Now type your PIN."),
            tone=Rhythm((0.1, 0.1, 0.1, 0.4), 1), touch=Rhythm((0.1, 0.3), 2),
        ),
        Situation.SECOND: _cue(
            _RING + _CARD, (0.9, 0.3, 0.9, 0.9), _BLUE, "person-card",
            zh=("继续", "还有一步"), en=("MORE", "One more step."),
            tone=Rhythm((0.1, 0.1, 0.5, 0.1, 0.1, 0.4), 1), touch=Rhythm((0.2, 0.2, 0.8, 0.2, 0.2, 0.6), 2),
            tail="others",
        ),
        Situation.SECOND_FACE: _cue(
            _RING + _CARD, (0.9, 0.3, 0.9, 0.3, 0.9, 0.9), _BLUE, "near",
            zh=("走近", "还有一步，请走近，或换一种方式"),
            en=("NEAR", "One more step. Please come near, or use something else."),
            tone=Rhythm((0.5, 0.1, 0.1, 0.1, 0.5, 0.4), 1), touch=Rhythm((0.8, 0.2, 0.2, 0.2, 0.8, 0.6), 2),
        ),
        Situation.RESTING: _cue(
            _CARD, (0.5, 0.5, 0.5, 1.5), _AMBER, "ways",
            zh=("另选", "请稍后再试，或换一种方式"), en=("OTHER", "Please try later, or another way in."),
            tone=Rhythm((0.15, 0.15, 0.15, 0.15, 0.15, 0.6), 2), touch=Rhythm((0.2, 0.6), 3),
        ),
        Situation.REFUSED: _cue(
            _CARD, (0.5, 0.5), _AMBER, "card",
            zh=("刷卡", ""), en=("CARD", ""),
            tone=Rhythm((0.15, 0.15), 3), touch=Rhythm((0.2, 0.2), 3), tail="ways", names_credential=True,
        ),
        Situation.FAULT: _cue(
            _TRIANGLE + _CARD, (1.0, 2.0), _AMBER, "triangle-card",
            zh=("故障", "不能识别人脸"), en=("FAULT", "Faces do not work."),
            tone=Rhythm((0.5, 0.1), 1), tick=Rhythm((0.05, 4.95)), touch=Rhythm((1.0, 0.5), 1),
            tail="ways", names_phone=True,
        ),
        Situation.CLOSER: _cue(
            _RING, (0.25, 0.5), _BLUE, "closer",
            zh=("靠近", "请靠近"), en=("CLOSER", "Please come closer."), tick=_TICKING,
        ),
        Situation.BACK: _cue(
            _RING, (0.25, 0.25, 0.25, 0.25, 0.25, 0.25, 0.25, 0.75), _BLUE, "back",
            zh=("后退", "请后退一点"), en=("BACK", "Please move back a little."), tick=_TICKING,
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
            zh=("你好", "有摄像头"), en=("HELLO", "The camera is on."), is_spoken=False, tail="near",
        ),
    }
)  # fmt: skip
"""The cue of every situation."""

NOTES: Mapping[str, Mapping[Language, str]] = MappingProxyType(
    {
        "records_withheld": MappingProxyType({"zh": "名单可能过时", "en": "list may be old"}),
        "clock": MappingProxyType({"zh": "时间不准", "en": "clock unsure"}),
        "credentials": MappingProxyType({"zh": "数据故障", "en": "database trouble"}),
        "gallery": MappingProxyType({"zh": "数据故障", "en": "database trouble"}),
        "network": MappingProxyType({"zh": "网络中断", "en": "no network"}),
        "server": MappingProxyType({"zh": "社区无回应", "en": "office silent"}),
        "office_outdated": MappingProxyType({"zh": "社区软件过旧", "en": "update the office"}),
        "journal": MappingProxyType({"zh": "存储故障", "en": "disk trouble"}),
        "crowd": MappingProxyType({"zh": "人脸过多", "en": "too many faces"}),
    }
)
"""Small notes on the screen about lost parts that keep nobody out, for the maintainer of the gate.

They are ordered by urgency. A small panel shows the first notes and the number of further ones.
"""
