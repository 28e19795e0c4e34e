"""Translates the handover page into Chinese: its words, the names of parts, and every sentence of the doctor.

Each English sentence is kept as in the code, with `{}` for a value. In the Chinese sentence `{0}` and `{1}` are these
values in their order. Texts of a library or the kernel stay untranslated: a reader can then search for them.

The sentences stay in one table, although the file is long. A translator reads it from top to bottom, and a test
compares it with the code of the doctor.
"""

import re
from functools import cache

from gated.config import Wires

PARTS = {
    "latch": "门锁程序", "brain": "主程序", "fire": "消防", "wiring": "接线", "pins": "引脚", "models": "模型",
    "camera": "摄像头", "pass key": "访客码公钥", "prompts": "语音", "screen": "门口屏幕", "letters": "字体",
    "telephone": "电话", "call button": "呼叫按钮", "calendar": "节假日", "state folder": "数据目录", "journal": "日志",
    "clock": "时钟", "power": "供电", "temperature": "温度", "memory": "内存", "disk": "存储卡", "site key": "本站密钥",
    "link keys": "通信密钥", "gate certificate": "本门证书", "office authority": "社区证书机构", "network": "网络",
    "office": "社区办公室", "broker": "消息服务器", "credential kinds": "进门方式", "decisions": "判断速度", "decision": "判断时间",
    "speed": "运算速度", "lockdown": "封闭", "lights": "灯光", "sound": "声音", "vision": "视觉程序", "credentials": "门卡数据",
    "gallery": "人脸数据", "server": "社区服务", "records_withheld": "被扣留的名单", "office_outdated": "社区软件版本", "crowd": "人脸过多", "camera: rate": "摄像头：帧率", "camera: light": "摄像头：光线",
    "camera: focus": "摄像头：清晰度", "camera: colour": "摄像头：颜色", "kept aside": "另存的文件", "camera: framing": "摄像头：取景", "wiegand": "读卡器接线",
    "PAD": "防伪检测", "PAD: bona fide": "防伪检测：真人", "PAD: print": "防伪检测：照片", "PAD: phone": "防伪检测：手机",
    "PIN budget": "密码安全期", "card budget": "门卡安全期", "false-accept budget": "误认间隔", "faces": "人脸", "PINs": "密码", "release key": "发布密钥",
}  # fmt: skip
"""Names of parts. Names such as `main.contact` are built from `DOORS` and `WIRES`."""
DOORS = {"main": "大门", "second": "第二道门", "door": "大门", "second_door": "第二道门"}
WIRES = {
    "tamper": "防拆",
    "contact": "门磁",
    "rex": "出门按钮",
    "rex_pin": "出门按钮",
    "lock": "锁",
    "opening": "开门测试",
}
LOCKS = {"strike": "通电开锁的锁扣", "reverse_strike": "断电开锁的锁扣", "maglock": "磁力锁"}
CREDENTIAL_KINDS = {"face": "人脸", "card": "门卡", "PIN": "密码", "visitor pass": "访客码", "call button": "呼叫按钮"}

WORDS = {
    "Gate {} of {}": "{1} 的门 {0}",
    "What it is": "设备",
    "Settings that are not the default": "与默认值不同的设置",
    "What was found: {} green, {} amber, {} red": "检查结果：正常 {0}，注意 {1}，故障 {2}",
    "What was tried on it: {} of {} promises kept, {}": "现场测试：{1} 项中 {0} 项合格，{2}",
    "Signed": "签字",
    "day": "日期", "telephone": "电话", "office": "社区办公室", "call button": "呼叫按钮", "machine": "主机", "versions": "版本", "doors": "门", "exit waiver": "免装出门按钮", "not fitted": "未安装",
    "none": "无",
    "Installer: I pressed the exit button without power on the Pi, and the door opened":
        "安装人员：树莓派断电时按出门按钮，门能打开",
    "Installer: I cut the power while the lock was released, and the lock was as promised":
        "安装人员：开锁时断电，锁的状态与约定一致",
    "Owner: I was shown how to open, to lock down, and whom to call": "业主：已了解如何开门、如何封闭、故障时找谁",
    "name, day, signature:": "姓名、日期、签字：",
    "none is set: write it here:": "未设置，请写在这里：",
    "exit button": "出门按钮", "exit button of the second door": "第二道门的出门按钮", "door contact": "门磁",
    "fire input": "消防输入", "key that ends a fire release": "消防复位钥匙", "tamper contact": "防拆触点", "relay feedback": "继电器反馈",
    "card reader": "读卡器", "keypad for a PIN": "密码键盘", "visitors' passes": "访客码", "loudspeaker": "扬声器", "gate screen": "门口屏幕",
    "lamps": "指示灯", "buzzer": "蜂鸣器", "pad that is felt": "触觉提示垫", "camera of the Pi": "树莓派摄像头",
}  # fmt: skip

SENTENCES = {
    "threshold {} for {} people comes from the table of the model set": "阈值 {0}，{1} 人，来自模型组的表",
    "threshold {} for {} people; of {} strangers a day one is accepted in {} days, at least {}":
        "阈值 {0}，{1} 人；每天 {2} 个陌生人时，{3} 天误认一人，至少 {4} 天",
    "recognition cannot distinguish {} people at this gate: {}": "人数太多，本门的人脸识别分不清 {0} 人：{1}",
    "the fixed {}": "固定的{0}",
    "ask for a card or a PIN with the face, or enrol each household only at the gates that it uses":
        "让人刷脸时再刷卡或输密码，或只在住户常走的门登记",
    "delete [access] threshold, so that the gate calibrates it": "删除 [access] threshold，由门自己校准",
    "{} pairs of people are too alike, and {} people need new pictures, because their own do not reach the threshold":
        "有 {0} 对人太相像；{1} 人自己的照片达不到阈值，需要重新登记",
    "run `gated calibrate` at the gate: it names them and the next step":
        "在门上运行 `gated calibrate`，会列出这些人和下一步",
    "serves {}": "正在服务：{0}",
    "no latch runs at {} ({})": "{0} 没有门锁程序（{1}）",
    "no time server was reached since the start, and no proven clock chip kept the time":
        "启动后没有连上时间服务器，也没有已证实走时可靠的时钟芯片",
    "the office reports another time": "社区办公室的时间与此不同",
    "the time was in doubt at power-off, and the office has not confirmed it since":
        "关机前时间可疑，此后办公室还没有核对过",
    "the time is earlier than the newest event here": "早于日志中最新的事件",
    "the time has jumped by {} s": "跳变了 {0} 秒",
    "recent unreadable input: {}": "最近收到无法识别的内容：{0}",
    "run `gated readers show` while you hold a card there; then repair the wires, or run `gated readers learn`":
        "把卡放在读卡器上运行 `gated readers show`；再改接线，或运行 `gated readers learn`",
    'give the gate a writable disk: see the finding "disk"': "给门一块能写入的存储卡：见“存储卡”一项",
    "the journal cannot be written; the gate keeps its rows in memory: {}": "日志无法写入；记录暂存在内存里：{0}",
    "no_colour: {}": "没有颜色：{0}",
    "no_colour: this camera is unsuitable; {}": "没有颜色，这个摄像头不能用：{0}",
    "colour {}, at least {} is needed": "颜色 {0}，需要 {1}",
    "fit a colour camera: PAD refuses faces in grey or infra-red pictures as prints":
        "换彩色摄像头：活体检测会把灰度或红外画面里的人脸当成照片而拒绝",
    "fit a lamp over the gate, and run this again": "在门上方装灯，再测一次",
    "stand before the gate in coloured clothes, and run this again": "穿有颜色的衣服站到门前，再测一次",
    "too dark to measure": "太暗，无法判断",
    "remove it when it is no longer needed: it may contain names and faces": "不再需要时请删除：里面可能有姓名和人脸",
    "{}: a damaged database; see `gated events list`": "{0}：损坏过的数据库；见 `gated events list`",
    "controls the doors": "正在控制各道门",
    "{}; the state of every pin is unknown": "{0}；各引脚状态不明",
    "the brain cannot release a lock without a latch": "没有门锁程序，主程序无法开锁",
    "no brain controls the doors; the exit button and the fire input work": "没有主程序控制门；出门按钮和消防输入有效",
    "start the latch, then run `gated run`": "先启动门锁程序，再运行 `gated run`",
    "start the gate: `gated run`": "启动：`gated run`",
    "start the latch's service (on a desk `gated run` starts one); if it runs, run this as the gate's user":
        "启动门锁服务（在桌面试用时 `gated run` 会启动它）；已运行时请以门禁用户运行本命令",
    "a fire release is active: every door is released": "消防释放中：所有门已打开",
    "turn the reset key when it is safe": "确认安全后转动复位钥匙",
    "the tamper contact is open, or its wire is cut": "防拆触点断开，或线路被剪断",
    "check the case, then the wire": "先查外壳，再查线路",
    "the door is open": "门扇开着",
    "close the door; if it is closed, check its contact": "关上门；如已关上，请查门磁",
    "no reset key for a fire release": "消防释放没有复位钥匙",
    "connect a key switch and set fire_reset_pin": "接一个钥匙开关，并设置 fire_reset_pin",
    "the pins are mock pins: no real lock moves": "是模拟引脚：没有真实的锁动作",
    'set [door] pins = "gpio" at a gate': "在真实的门上设置 [door] pins = \"gpio\"",
    "every door has an exit button or a waiver": "每道门都有出门按钮，或有书面豁免",
    "no exit button, with a written waiver": "按书面豁免，没有出门按钮",
    "confirm that the waiver is still valid: rex_waiver": "确认豁免仍然有效：rex_waiver",
    "no exit button is connected": "没有接出门按钮",
    "connect one, or name in rex_waiver the person who waived it": "接一个，或在 rex_waiver 写明谁决定不需要",
    "no door contact: the gate cannot detect a forced or held-open door": "没有门磁：撬门或长开不会被发现",
    "connect a contact and set contact_pin": "接一个门磁，并设置 contact_pin",
    "at power-on the Pi pulls pin {} {}, which switches this relay on until the latch starts":
        "通电时树莓派把引脚 {0} 拉到 {1}，继电器会吸合，直到门锁程序启动",
    "use an active-high relay on pin 9 or higher, with a pull-down resistor": "改用高电平有效的继电器，接 9 号以后的引脚，并加下拉电阻",
    "the gate shows and speaks it where it cannot help": "门禁帮不上忙时会显示并播报",
    "{} PINs cannot be used: their household has no flat number to type": "{0} 个密码不能使用：这些住户没有可输入的房号",
    "{} people have a weak PIN that strangers try first ({})": "{0} 人的密码容易被陌生人猜中（{1}）",
    "give them new PINs, and set [readers] weak_pins_until to the last day of the old PINs":
        "给他们换新密码，并用 [readers] weak_pins_until 设定旧密码作废的日期",
    "name the household by its number, or set [readers] pin_by_household = false":
        "用房号命名住户，或设置 [readers] pin_by_household = false",
    "a stranger who tries PINs needs {} days on average": "陌生人在键盘上试密码，平均要 {0} 天",
    "a stranger who tries PINs needs {} days on average, less than a year":
        "陌生人在键盘上试密码，平均只要 {0} 天，不到一年",
    "a stranger who tries card numbers needs on average {} days (26 bits) or {} days (34 bits)":
        "陌生人逐个试卡号，平均要 {0} 天（26 位读卡器）或 {1} 天（34 位读卡器）",
    "fit readers that send 32-bit numbers (34-bit Wiegand), and revoke unused cards":
        "换用能读 32 位的读卡器（34 位韦根），并收回没人用的门卡",
    "set [readers] pin_by_household = true, or raise pin_digits and give new PINs":
        "设置 [readers] pin_by_household = true，或提高 pin_digits 并换新密码",
    "set [readers] pin_by_household = true": "设置 [readers] pin_by_household = true",
    "lower [readers] household_day": "降低 [readers] household_day",
    "raise [readers] pin_digits and give new PINs, or lower household_day":
        "提高 [readers] pin_digits 并换新密码，或降低 household_day",
    "the gate shows no telephone number where it cannot help": "门禁帮不上忙时，不显示求助电话",
    "set [cues] phone, then run `gated prompts make`": "设置 [cues] phone，再运行 `gated prompts make`",
    "no call is answered: this gate has no office": "无人接听：这道门没有连接社区办公室",
    "run `gated pair` to join an office; `gated office watch` rings there": "运行 `gated pair` 连接社区办公室；办公室运行 `gated office watch`，有呼叫时响铃",
    "no latch runs": "没有门锁程序",
    "no brain controls the doors": "没有主程序控制门",
    "a lockdown is active": "正在封闭",
    "no credential opens the gate ({}): {}": "没有可用的进门方式（{0}）：{1}",
    "follow the next step of the findings above": "按以上各项的提示处理",
    "not working: {}": "不可用：{0}",
    "works": "可用",
    "only faces open the gate": "只能用人脸开门",
    "fit a card reader or a keypad: no single credential kind suits everybody": "加装读卡器或密码键盘：没有一种方式适合所有人",
    "run `gated models list` and `gated models verify`":
        "`gated models list` 列出模型，`gated models verify` 验证模型",
    "{} of set {} ({}) verified": "模型组 {1}（{2}）的 {0} 个文件已验证",
    "picamera2 is not installed": "没有安装 picamera2",
    "run apt-get install python3-picamera2": "运行 apt-get install python3-picamera2",
    "{}: {} does not exist": "{0}：{1} 不存在",
    "correct camera.path": "改正 camera.path",
    "{}: no picture": "{0}：没有画面",
    "check its cable and the log of `gated run`": "检查排线，并看 `gated run` 的日志",
    "{}: not a real camera, {}": "{0}：不是真实摄像头，{1}",
    'set [camera] kind = "picamera2" at a gate': "在真实的门上设置 [camera] kind = \"picamera2\"",
    "picamera2, number {}, {} frames a second": "picamera2，{0} 号，每秒 {1} 帧",
    "is not there": "不存在",
    "plug it in, or correct readers.devices": "插上它，或改正 readers.devices",
    "this user cannot read it": "当前用户不能读取",
    "add the gate's user to the group input": "把门禁用户加入 input 组",
    "exists and can be read": "存在，可以读取",
    "put the site's public key there, readable by this user": "把小区公钥放在那里，并允许当前用户读取",
    "can be read": "可以读取",
    "no sound is set: the gate speaks no prompts": "没有设置声音：不播报",
    'fit a loudspeaker and set [cues] sound = "alsa"': "装扬声器，并设置 [cues] sound = \"alsa\"",
    "{} are missing or wrong; the gate plays tones instead": "{0} 条缺失或有误，暂用提示音代替",
    "run `gated prompts make`, then `gated prompts check`": "运行 `gated prompts make`，再运行 `gated prompts check`",
    "complete in {}": "语音齐全：{0}",
    "none is set": "未设置",
    "no program serves port {}": "端口 {0} 没有服务",
    "is a service with a user of its own": "是独立的服务，使用独立的用户",
    "run `sudo gated provision`": "运行 `sudo gated provision`",
    "is a service with a user of its own; Landlock and seccomp confine it":
        "是使用独立用户的服务；受 Landlock 和 seccomp 限制",
    "is a child of the brain and has its user": "是主程序的子进程，使用主程序的用户",
    "is a child of the brain and has its user; Landlock and seccomp confine it":
        "是主程序的子进程，使用主程序的用户；受 Landlock 和 seccomp 限制",
    "follow the next steps of the findings below": "处理以下各行所述的问题",
    "this kernel has no Landlock or does not allow it: the process can reach files":
        "内核没有 Landlock 或不允许使用，它可以访问文件",
    "Landlock was refused: the process can reach files": "Landlock 被拒绝，它可以访问文件",
    "this kernel's Landlock is old: the process cannot read a file but can truncate it":
        "内核的 Landlock 版本较旧：它不能读文件，但可以截断文件",
    "libseccomp is missing: the process can reach sockets and other processes":
        "缺少 libseccomp，它可以访问套接字和其他进程",
    "seccomp was refused: the process can reach sockets and other processes":
        "seccomp 被拒绝，它可以访问套接字和其他进程",
    "other threads ran before: they are not confined": "已有其他线程在运行，未受限制",
    "its confinement is unknown: the trial failed": "无法确定它受到哪些限制：测试失败",
    "use a kernel 6.2 or newer with Landlock: its command line has `landlock` after `lsm=`":
        "使用 6.2 或更新且带有 Landlock 的内核：在内核命令行的 `lsm=` 中加入 `landlock`",
    "run apt-get install libseccomp2": "运行 apt-get install libseccomp2",
    "use a kernel with seccomp, outside a container that forbids it": "使用带有 seccomp 的内核，且不在禁止它的容器中运行",
    "report this as a fault: no thread should run this early": "请报告此问题：此时不应有其他线程",
    "run `gated vision --try`: it prints the reason": "运行 `gated vision --try` 查看原因",
    "read the log of `gated run`": "看 `gated run` 的日志",
    "port {} is free for the brain": "端口 {0} 空闲，等主程序使用",
    "another program uses port {}": "端口 {0} 被别的程序占用",
    "stop that program, or choose another cues.screen_port": "结束那个程序，或换一个 cues.screen_port",
    "served at {}": "服务地址：{0}",
    "served at http://{}:{}/": "服务地址：http://{0}:{1}/",
    "it is unknown whether a Chinese font is installed": "无法判断有没有中文字体",
    "apt-get install fontconfig, and {}": "运行 apt-get install fontconfig，并 {0}",
    "the gate screen can show Chinese": "门口屏幕能显示中文",
    "the gate screen cannot show Chinese and shows English": "门口屏幕不能显示中文，改用英文",
    "write them in [site] holidays and workdays, or run `gated office calendar set` for every gate":
        "写入 [site] holidays 和 workdays，或在社区办公室运行 `gated office calendar set`",
    "the holidays and make-up working days of {} are unknown": "还不知道 {0} 年的节假日和调休日",
    "{} is not a day of the calendar and is ignored": "{0} 不是有效日期，已忽略",
    "this user cannot write {}": "当前用户不能写入 {0}",
    "make it writable for the gate's user": "让门禁用户可以写入",
    "{} does not exist yet": "{0} 还不存在",
    "the first start creates it": "第一次启动时建立",
    "{} belongs to another user: results for this user may differ": "{0} 属于别的用户：以当前用户检查，结果可能不同",
    "run the doctor as the gate's user": "以门禁用户运行检查",
    "{} can be written; {} MB free": "{0} 可以写入，剩余 {1} MB",
    "free some space: soon the gate cannot write events": "清理空间：很快就无法写入事件",
    "free some space": "清理空间",
    "none exists yet": "还没有",
    "the first `gated run` creates it": "第一次运行 `gated run` 时建立",
    "run `gated events verify` for details": "`gated events verify` 有详细说明",
    "row {} was changed after it was written: {}": "第 {0} 行与写入时不同：{1}",
    "keep the file unchanged, and find out who changed it": "保留文件原样，查明是谁改的",
    "{} rows, all unchanged; newest row {}": "{0} 行，均与写入时一致；末行 {1}",
    "trusted: by the settings": "可信：由设置决定",
    "trusted: a time source keeps it": "可信：有时间源校时",
    "not trusted: {}; credentials with schedules or dates do not open the gate": "不可信：{0}；限时段或限日期的凭证不能开门",
    "run `timedatectl`: connect to a time server, or let the office confirm the time":
        "见 `timedatectl`：连接时间服务器，或让办公室核对时间",
    "if the time is correct, a wrong time was trusted before: stop the gate, delete {}, start it":
        "如果现在的时间是对的，说明曾采信过错误的时间：停止门禁，删除 {0}，再启动",
    "unknown: vcgencmd does not answer": "不明：vcgencmd 没有响应",
    "unknown: this is not a Raspberry Pi": "不明：这不是树莓派",
    "add the gate's user to the group video": "把门禁用户加入 video 组",
    "run this on the gate's own board": "在门禁自己的主板上运行",
    "now {}": "现在 {0}",
    "use the Pi's own power supply and a short, thick cable": "换树莓派原装电源和短而粗的电源线",
    "normal now; since power-on {}": "现在正常；通电以来 {0}",
    "use the Pi's own power supply, and check the devices on its 5 V": "换树莓派原装电源，并检查接在 5 V 上的设备",
    "no undervoltage and no throttling since power-on": "通电以来没有电压过低或降速",
    "unknown: no sensor": "不明：没有传感器",
    "{} °C": "{0} °C",
    "{}: the processor runs at its lowest speed": "{0}：处理器已降到最慢",
    "{}: the processor will soon be slowed": "{0}：处理器即将降速",
    "give the case shade, a heat sink or a vent": "遮阳、加散热片或开通风口",
    "unknown: the kernel does not report it": "不明：内核没有提供",
    "mount /proc without ProcSubset=pid": "挂载 /proc，不要 ProcSubset=pid",
    "{} of {} MB free": "共 {1} MB，剩余 {0} MB",
    "stop other programs, or use a board with more memory": "结束其他程序，或换内存更大的主板",
    "pair the gate again: `gated office invite` at the office, then `gated pair` here": "重新配对：社区办公室运行 `gated office invite`，这里运行 `gated pair`",
    "{}: not a readable certificate": "{0}：不是能读的证书",
    "the certificate is for {}, and this gate is {}": "这是 {0} 的证书，而这道门是 {1}",
    "correct [gate] id, or {}": "改正 [gate] id，或{0}",
    "ask the office for a new certificate, then {}": "向社区办公室申请新证书，再{0}",
    "not set: updates need no signature": "未设置：更新不需要签名",
    "run `sudo gated update --key release.pub` to set one": "用 `sudo gated update --key release.pub` 设置",
    "updates must be signed with {}": "更新必须由 {0} 签名",
    "expired on {}": "已于 {0} 到期，不再有效",
    "expires on {}, in {} days": "{0} 到期，还有 {1} 天",
    "expires on {}, in {} days, and was not renewed automatically": "{0} 到期，还有 {1} 天，未能自动续期",
    "{}, and was not renewed automatically": "{0}，未能自动续期",
    "without it no template can be opened: repair this, or restore the key": "没有它就无法打开人脸数据：请修复，或恢复密钥",
    "only the gate's user can read it": "只有门禁用户可以读取",
    "{}: cannot be read ({})": "{0}：不能读取（{1}）",
    "run as the gate's user, or {}": "以门禁用户运行，或{0}",
    "{}: not sealed with the site key": "{0}：还没有用小区密钥加密",
    "the gate's next start seals it": "下次启动时会自动加密",
    "{}: other users can read it": "{0}：别的用户可以读取",
    "chmod 600 {}; then {}": "chmod 600 {0}；再{1}",
    "valid, match their certificate, and only the gate's user can read them": "可用，与证书一致，只有门禁用户可以读取",
    "no default route": "没有默认路由",
    "plug in the cable, or check with `nmcli`": "插好网线，或看 `nmcli`",
    "default route by {}": "默认路由：{0}",
    "none is set: the gate works alone": "未设置：这道门独立工作",
    "run `gated pair` with a code from the office": "用社区办公室给的配对码运行 `gated pair`",
    "{}: name not found within {} s": "{0}：{1} 秒内无法解析这个域名",
    "check the name server and sync.url": "检查域名服务器或 sync.url",
    "{}:{} and this gate do not trust each other: {}": "{0}:{1} 与这道门互不信任：{2}",
    "check both clocks and certificates; then {}": "检查两边的时钟和证书；再{0}",
    "{}:{} ({}) does not answer: {}": "{0}:{1}（{2}）没有响应：{3}",
    "check that it runs and that the firewall lets the gate connect": "检查它是否在运行，防火墙是否放行",
    "{}:{} ({}) accepts this gate's certificate, {}, {} ms": "{0}:{1}（{2}）接受这道门的证书，{3}，{4} 毫秒",
    "check with `findmnt` and `dmesg`": "看 `findmnt` 和 `dmesg`",
    "{} ({}) is mounted read-only: nothing can be stored": "{0}（{1}）是只读挂载：无法保存任何数据",
    "check `dmesg`; a failing card becomes read-only: replace it": "看 `dmesg`；存储卡将坏时会变成只读，请更换",
    "{} has {} errors in its file system": "{0} 的文件系统有 {1} 个错误",
    "back up its data, and replace the card": "备份数据并换卡",
    "{} ({}) can be written; its wear is unknown: SD cards do not report it": "{0}（{1}）可以写入；磨损不明：存储卡不报告磨损",
    "{} has used {} % of its lifetime": "{0} 已用掉 {1} % 的寿命",
    "replace it before it fails": "在损坏之前更换",
    "{} can be written; at most {} % of its lifetime is used": "{0} 可以写入；寿命最多用掉 {1} %",
    "{} of {} frames a second": "每秒 {0} 帧，要求 {1} 帧",
    "lower [camera] width, or stop other programs": "减小 [camera] width，或停掉其他程序",
    "brightness {} of 255{}": "亮度 {0}（满值 255）{1}",
    "brightness {} of 255": "亮度 {0}（满值 255）",
    "fit a lamp over the gate": "在门上方装灯",
    "turn the camera away from the sky": "让摄像头避开天空",
    "sharpness {}": "清晰度 {0}",
    "clean the lens, remove its film, or focus it": "擦镜头、撕掉保护膜，或调焦",
    "{} ms a frame, of which the models take {} ({})": "每帧 {0} 毫秒，其中模型 {1}（{2}）",
    "lower [camera] fps, or use a faster board": "降低 [camera] fps，或换更快的主板",
    "{} s for the {} frames of a clear visit; the limit is {} s": "明确的一次来访（{1} 帧）共 {0} 秒；约定 {2} 秒",
    "raise [camera] fps if the board is fast enough, take a smaller model set, or use a faster board":
        "主板跟得上就提高 [camera] fps，换更小的模型组，或换更快的主板",
    "check both ends of the ribbon cable, and run `rpicam-hello --list`": "检查排线两端是否插好，并运行 `rpicam-hello --list`",
    "no face is in view": "画面里没有人",
    "stand before the gate, and run this again": "站到门前再看一次",
    "a face of {} x {} px, {} across and {} down from the middle": "人脸 {0} x {1} 像素，距中心横 {2}、纵 {3}",
    "not measured here": "本门没有测量过",
    "not measured here with model set {}, only with {}": "本门没有用模型组 {0} 测量过，只用过 {1}",
    "stop the gate, and run `gated evaluate --live` with prints and phones":
        "停门后，用照片和手机运行 `gated evaluate --live`",
    "{} of {} refused ({} to {} %), {} without an answer, on {}": "{1} 次中 {0} 次被拒（{2} 至 {3} %），{4} 次没有结果，{5}",
    "{} of {} passed ({} to {} %), {} without an answer, on {}": "{1} 次中 {0} 次通过（{2} 至 {3} %），{4} 次没有结果，{5}",
    "improve the light, and measure again": "改善光线，再测量",
    "let this gate also ask for a card or a PIN, or watch it": "让本门同时要求门卡或密码，或派人看守",
    "turn the camera until a face at the gate is in the middle": "转动摄像头，让门前的人脸在中间",
    "run this again while no other program runs": "没有其他程序时再运行一次",
    "the last {} took {} s from frame to decision, 95 % at most {} s": "最近 {0} 次从画面到判断 {1} 秒，95 % 不超过 {2} 秒",
    "{}; the limit is {} s": "{0}；约定 {1} 秒",
    "stop other programs; stop the gate and run `gated doctor --measure`": "看还有什么在运行；停门后运行 `gated doctor --measure`",
    "the running gate uses the camera; nothing was measured": "正在运行的门占用它：没有测量",
    "run `systemctl stop gated`, measure, and start it again": "`systemctl stop gated`，测量，再启动",
    "the running gate has lost it": "正在运行的门已失去它",
    "active since {}: the gate denies entry to everyone": "从 {0} 起：不放任何人进门",
    "to end it: run `gated lockdown off --by NAME`": "结束时运行：`gated lockdown off --by NAME`",
    "not tested": "没有测试",
    "test it before handover": "交付前请测试",
    "the latch reported: {}; the installer saw a different result": "门锁程序说：{0}；现场不是这样",
    "check the lock's kind, supply and bolt, and the door closer": "检查锁的类型、供电、锁舌和闭门器",
    "the door is already open": "门扇已经开着",
    "no lamp is fitted": "没有安装",
    "fit lamps: deaf people must see what the gate does": "装指示灯：听不见的人要看得到",
    "all correct: {}": "都正常：{0}",
    "not all correct: {}": "不全正常：{0}",
    "check the pins in [cues] and their wires": "检查 [cues] 的引脚和接线",
    "no loudspeaker is set": "没有设置扬声器",
    'fit one for blind people, and set [cues] sound = "alsa"': "给看不见的人装一个，并设置 [cues] sound = \"alsa\"",
    "the loudspeaker cannot play it": "扬声器不能播放",
    "run apt-get install alsa-utils, or set [cues] sound_device to a device of `aplay -L`":
        "apt-get install alsa-utils，或在 [cues] sound_device 写上 `aplay -L` 列出的设备",
    "clear, at volume {}": "听到了，音量 {0}",
    "not clear": "没有听清",
    "check [cues] volume, `alsamixer` and the wires": "检查 [cues] volume、`alsamixer` 和接线",
    "the latch refuses: {}": "门锁程序拒绝：{0}",
    "remove the reason, and try again": "排除原因，再试一次",
    "the latch did not release the lock": "门锁程序没有开锁",
    "read the log of the latch": "看门锁程序的日志",
    "{}: {}": "{0}：{1}",
    "check the relay board's supply, then that wire": "先查继电器板供电，再查那根线",
    "the lock was not secured again": "锁没有重新锁上",
    "cut its power; check the relay and the log of the latch": "断开锁的电源；检查继电器和门锁程序的日志",
    "released, and secured after {} s; no door contact is fitted": "已开锁，{0} 秒后锁上；没有门磁",
    "released for {} s, and the contact reported no opening": "开锁 {0} 秒，门磁没有报告开门",
    "if the door was opened, check its contact; otherwise check the lock's supply": "如果门开过请查门磁，否则查锁的供电",
    "the door opened, and the contact reported no closing": "门开了，门磁没有报告关门",
    "close the door; check its closer and contact": "关上门；检查闭门器和门磁",
    "released, open after {} s, shut after {} s, secured after {} s": "已开锁，{0} 秒后打开，{1} 秒后关上，{2} 秒后锁上",
}  # fmt: skip


def part(name: str) -> str:
    """Return the Chinese name of a part."""
    if name in PARTS:
        return PARTS[name]
    if name.startswith("credential: "):
        kind = name.removeprefix("credential: ")
        return f"进门方式：{CREDENTIAL_KINDS.get(kind, kind)}"
    if name.startswith("reader "):
        return f"读卡器 {name.removeprefix('reader ')}"
    door, _, wire = name.replace(": ", ".").partition(".")
    return f"{DOORS[door]}：{WIRES[wire]}" if door in DOORS and wire in WIRES else name


def door(name: str, wires: Wires) -> str:
    """Return the description of a door: its lock, its pins, and how long it stays released."""
    level = "高" if wires.lock_active_high else "低"
    inputs = (("门磁", wires.contact_pin), ("出门按钮", wires.rex_pin), ("消防", wires.fire_pin))
    wired = "，".join(f"{label} {'无' if pin is None else pin}" for label, pin in inputs)
    return f"{DOORS[name]}：{LOCKS[wires.lock]}，引脚 {wires.lock_pin}，{level}电平有效，{wired}，开锁 {wires.release_s:g} 秒"


def words(text: str) -> str:
    """Return a fixed word or sentence of the page. Raises `KeyError` if it has no translation."""
    return WORDS[text]


def sentence(text: str) -> str:
    """Return a finding or a step in Chinese. Keeps a date in brackets at the end, and any unknown text."""
    if dated := re.fullmatch(r"(.*) \((\d{4}-\d\d-\d\d)\)", text):
        return f"{sentence(dated[1])}（{dated[2]}）"
    if text in SENTENCES:
        return SENTENCES[text]
    for pattern, chinese in _patterns():
        if match := pattern.fullmatch(text):
            return chinese.format(*(_within(value) for value in match.groups()))
    return text


def _within(value: str) -> str:
    """Translate a value: a list of credentials, a sentence, or plain text."""
    several = value.split(", ")
    return (
        "、".join(CREDENTIAL_KINDS[each] for each in several)
        if all(each in CREDENTIAL_KINDS for each in several)
        else sentence(value)
    )


@cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    """Return the sentences with values as patterns. The longest fixed text comes first."""
    found = sorted((each for each in SENTENCES if "{}" in each), key=lambda each: -len(each.replace("{}", "")))
    return [
        (re.compile("(.+?)".join(map(re.escape, each.split("{}"))), re.DOTALL), SENTENCES[each])
        for each in found
        if each.replace("{}", "").strip(" :")
    ]
