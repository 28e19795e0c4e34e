"""Translates the handover page into Chinese: its words, the names of parts, and every sentence of the doctor.

Each English sentence is kept as in the code, with `{}` for a value. In the Chinese sentence `{0}` and `{1}` are these
values in their order. Texts of a library or the kernel stay untranslated, so that a reader can search for them.
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
    "office": "社区办公室", "broker": "消息服务器", "ways in": "进门方式", "decisions": "判断速度", "decision": "判断时间",
    "speed": "运算速度", "lockdown": "封闭", "lights": "灯光", "sound": "声音", "vision": "视觉程序", "credentials": "门卡数据",
    "gallery": "人脸数据", "server": "社区服务", "records_withheld": "被扣留的名单", "office_outdated": "社区软件版本", "crowd": "人脸过多", "camera: rate": "摄像头：帧率", "camera: light": "摄像头：光线",
    "camera: focus": "摄像头：清晰度", "camera: colour": "摄像头：颜色", "kept aside": "另存的文件", "camera: framing": "摄像头：取景", "wiegand": "读卡器接线",
    "PIN budget": "密码安全期", "card budget": "门卡安全期", "PINs": "密码", "release key": "发布密钥",
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
WAYS = {"face": "人脸", "card": "门卡", "PIN": "密码", "visitor pass": "访客码", "call button": "呼叫按钮"}

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
    "serves {}": "正在服务：{0}",
    "no latch serves {} ({})": "{0} 没有门锁程序（{1}）",
    "no time server was reached since the start, and no clock chip that has proved itself kept it":
        "启动后没有连上时间服务器，也没有已证实走时可靠的时钟芯片",
    "the office says that it is another time": "社区办公室的时间与此不同",
    "it was in doubt when the machine was switched off, and the office has not agreed since":
        "关机前时间可疑，此后办公室还没有核对过",
    "it is earlier than what has already happened here": "早于这里已经发生的事",
    "it has jumped by {} s": "跳变了 {0} 秒",
    "was not understood lately: {}": "最近有读不懂的内容：{0}",
    "`gated readers show` while a card is held there; then mend the wires, or `gated readers learn`":
        "把卡放在读卡器上运行 `gated readers show`；再改接线，或运行 `gated readers learn`",
    "give the gate a disk that can be written: see the line on the disk": "给门一块能写入的存储卡：见“存储卡”一行",
    "it takes no rows; the gate holds them in memory: {}": "写不进去；门把记录暂存在内存里：{0}",
    "no_colour: {}": "没有颜色：{0}",
    "no_colour: this camera will not do; {}": "没有颜色，这个摄像头不能用：{0}",
    "colour {}, {} are needed": "颜色 {0}，需要 {1}",
    "fit a colour camera: in grey or infra-red pictures faces are taken for prints, and refused":
        "换彩色摄像头：灰度或红外画面里的人脸会被当成照片而拒绝",
    "put a lamp over the gate, and look once more": "在门上方装灯，再看一次",
    "stand before the gate in something coloured, and look once more": "穿有颜色的衣服站到门前，再看一次",
    "too dark to tell": "太暗，无法判断",
    "when nobody needs it any more, remove it: names and faces may lie in it": "没有人再需要时请删除：里面可能有姓名和人脸",
    "{}: a database that was damaged; see `gated events list`": "{0}：损坏过的数据库；见 `gated events list`",
    "commands the doors": "正在控制各道门",
    "{}; the state of every line is unknown": "{0}；各线路状态不明",
    "it can release nothing without a latch": "没有门锁程序，什么也打不开",
    "none commands the doors; leaving and fire work": "没有主程序控制门；出门和消防有效",
    "start the latch, then `gated run`": "先启动门锁程序，再运行 `gated run`",
    "start the gate: `gated run`": "启动：`gated run`",
    "start the latch's service (on a desk `gated run` starts one); if it runs, ask as the gate's user":
        "启动门锁服务（在桌面上 `gated run` 会启动它）；已运行时请用门的用户查询",
    "a fire release stands: every door is released": "消防释放中：所有门已打开",
    "when it is safe, turn the reset key": "确认安全后转动复位钥匙",
    "is tampered with, or its loop is cut": "被拆动，或回路断开",
    "look at the case, then at the wire": "先查外壳，再查线路",
    "the leaf stands open": "门扇开着",
    "shut it; if it is shut, look at its contact": "关上门；如已关上，请查门磁",
    "a fire release has no key that ends it": "消防释放没有复位钥匙",
    "wire a key switch and set fire_reset_pin": "接一个钥匙开关，并设置 fire_reset_pin",
    "are mock pins: no real lock moves": "是模拟引脚：没有真实的锁动作",
    'at a gate set [door] pins = "gpio"': "在真实的门上设置 [door] pins = \"gpio\"",
    "every door has its exit button, or a waiver": "每道门都有出门按钮，或有书面豁免",
    "no exit button, by a written waiver": "按书面豁免，没有出门按钮",
    "see that it still holds: rex_waiver": "确认豁免仍然有效：rex_waiver",
    "no exit button is wired": "没有接出门按钮",
    "wire one, or write into rex_waiver who decided that none is needed": "接一个，或在 rex_waiver 写明谁决定不需要",
    "no door contact: a leaf that is forced or held open is not noticed": "没有门磁：撬门或长开不会被发现",
    "wire a contact and set contact_pin": "接一个门磁，并设置 contact_pin",
    "at power-on the Pi pulls pin {} {}, which is this relay's on, until the latch starts":
        "通电时树莓派把引脚 {0} 拉到 {1}，继电器会吸合，直到门锁程序启动",
    "use an active-high relay on a pin from 9 on, with a pull-down resistor": "改用高电平有效的继电器，接 9 号以后的引脚，并加下拉电阻",
    "is shown and said where the gate cannot help": "门帮不上忙时会显示并播报",
    "{} PINs open nothing: their household has no number to type": "{0} 个密码打不开门：这些住户没有可输入的门牌号",
    "{} people have a PIN that strangers try first ({})": "{0} 人的密码陌生人会最先去试（{1}）",
    "give them new PINs, and set [readers] weak_pins_until to a day on which the old ones are over":
        "给他们换新密码，并用 [readers] weak_pins_until 设定旧密码作废的日期",
    "name the household by its number, or set [readers] pin_by_household = false":
        "给住户写上门牌号，或设置 [readers] pin_by_household = false",
    "a stranger at the keypad needs {} days on average": "陌生人在键盘上试密码，平均要 {0} 天",
    "a stranger at the keypad needs {} days on average, below a year":
        "陌生人在键盘上试密码，平均只要 {0} 天，不到一年",
    "a stranger who shows card numbers needs {} days at a reader of 26 bits, {} at 34 bits":
        "陌生人逐个试卡号，平均要 {0} 天（26 位读卡器）或 {1} 天（34 位读卡器）",
    "fit readers that tell 32 bits (Wiegand of 34 bits), and take away cards that nobody uses":
        "换用能读 32 位的读卡器（34 位韦根），并收回没人用的门卡",
    "set [readers] pin_by_household = true, or pin_digits higher and give new PINs":
        "设置 [readers] pin_by_household = true，或提高 pin_digits 并换新密码",
    "set [readers] pin_by_household = true": "设置 [readers] pin_by_household = true",
    "set [readers] household_day lower": "降低 [readers] household_day",
    "set [readers] pin_digits higher and give new PINs, or household_day lower":
        "提高 [readers] pin_digits 并换新密码，或降低 household_day",
    "people are not told whom to call when the gate cannot help": "门帮不上忙时，居民不知道给谁打电话",
    "set [cues] phone, then `gated prompts make`": "设置 [cues] phone，再运行 `gated prompts make`",
    "nobody hears it: this gate has no office": "没有人听到：这道门没有连接社区",
    "`gated pair` joins an office, where `gated office watch` rings": "用 `gated pair` 连接社区，社区用 `gated office watch` 响铃",
    "no latch serves": "没有门锁程序",
    "no brain commands the doors": "没有主程序控制门",
    "there is a lockdown": "正在封闭",
    "nobody can be let in by {}: {}": "{0} 都不能进门：{1}",
    "do what is said of that above": "按上面的提示处理",
    "does not work: {}": "无效：{0}",
    "works": "有效",
    "a face alone": "只有人脸",
    "fit a card reader or a keypad: no single way in suits everybody": "加装读卡器或密码键盘：没有一种方式适合所有人",
    "`gated models list` shows what there is, `gated models verify` proves it":
        "`gated models list` 列出模型，`gated models verify` 验证模型",
    "{} of set {} ({}) verified": "模型组 {1}（{2}）的 {0} 个文件已验证",
    "picamera2 is not installed": "没有安装 picamera2",
    "apt-get install python3-picamera2": "apt-get install python3-picamera2（安装它）",
    "{}: {} is not there": "{0}：{1} 不存在",
    "mend camera.path": "改正 camera.path",
    "{}: the gate sees nothing": "{0}：看不到画面",
    "look at its cable, and at the log of `gated run`": "检查排线，并看 `gated run` 的日志",
    "{}: no real camera, {}": "{0}：不是真实摄像头，{1}",
    'at a gate set [camera] kind = "picamera2"': "在真实的门上设置 [camera] kind = \"picamera2\"",
    "picamera2, number {}, {} frames a second": "picamera2，{0} 号，每秒 {1} 帧",
    "is not there": "不存在",
    "plug it in, or mend readers.devices": "插上它，或改正 readers.devices",
    "cannot be read by this user": "当前用户不能读取",
    "let the gate's user join the group input": "把门的用户加入 input 组",
    "is there, and can be read": "存在，可以读取",
    "put the site's public key there, for this user to read": "把本站公钥放在那里，并允许当前用户读取",
    "can be read": "可以读取",
    "no sound is set: nothing is spoken": "没有设置声音：不播报",
    'fit a loudspeaker and set [cues] sound = "alsa"': "装扬声器，并设置 [cues] sound = \"alsa\"",
    "{} are missing or not as they should be; tones stand in for them": "{0} 条缺失或不对，暂用提示音代替",
    "`gated prompts make`, then `gated prompts check`": "运行 `gated prompts make`，再运行 `gated prompts check`",
    "complete in {}": "语音齐全：{0}",
    "none is set": "未设置",
    "nobody serves port {}": "端口 {0} 没有服务",
    "is a service with a user of its own": "是独立的服务，使用独立的用户",
    "run `sudo gated provision`": "运行 `sudo gated provision`",
    "is a service with a user of its own; Landlock and seccomp confine it":
        "是使用独立用户的服务；受 Landlock 和 seccomp 限制",
    "is a child of the brain and has its user": "是主程序的子进程，使用主程序的用户",
    "is a child of the brain and has its user; Landlock and seccomp confine it":
        "是主程序的子进程，使用主程序的用户；受 Landlock 和 seccomp 限制",
    "mend what the next lines name": "处理以下各行所述的问题",
    "this kernel has no Landlock, or none is allowed here, so that files are not kept from it":
        "内核没有 Landlock 或不允许使用，它可以访问文件",
    "Landlock was refused, so that files are not kept from it": "Landlock 被拒绝，它可以访问文件",
    "this kernel's Landlock is old: it could cut a file short, and not read it":
        "内核的 Landlock 版本较旧：它不能读文件，但可以截断文件",
    "libseccomp is missing, so that sockets and other processes are not kept from it":
        "缺少 libseccomp，它可以访问套接字和其他进程",
    "seccomp was refused, so that sockets and other processes are not kept from it":
        "seccomp 被拒绝，它可以访问套接字和其他进程",
    "other threads ran already, and gave nothing up": "已有其他线程在运行，未受限制",
    "nobody can tell what confines it: the trial failed": "无法确定它受到哪些限制：测试失败",
    "start a kernel of 6.2 or newer that has Landlock: `landlock` among the names after `lsm=` in its command line":
        "使用 6.2 或更新且带有 Landlock 的内核：在内核命令行的 `lsm=` 中加入 `landlock`",
    "apt-get install libseccomp2": "运行 apt-get install libseccomp2",
    "start a kernel that has seccomp, and no container that forbids it": "使用带有 seccomp 的内核，且不在禁止它的容器中运行",
    "report it: no thread should run so early": "请报告此问题：此时不应有其他线程",
    "run `gated vision --try`, which says why": "运行 `gated vision --try` 查看原因",
    "look at the log of `gated run`": "看 `gated run` 的日志",
    "port {} is free, for the brain to serve": "端口 {0} 空闲，等主程序使用",
    "port {} is another program's": "端口 {0} 被别的程序占用",
    "end that, or choose another cues.screen_port": "结束那个程序，或换一个 cues.screen_port",
    "served at {}": "服务地址：{0}",
    "served at http://{}:{}/": "服务地址：http://{0}:{1}/",
    "nobody can tell whether Chinese letters are there": "无法判断有没有中文字体",
    "apt-get install fontconfig, and {}": "apt-get install fontconfig，并 {0}",
    "Chinese can be drawn on the gate screen": "门口屏幕能显示中文",
    "the gate screen cannot draw Chinese and shows English": "门口屏幕不能显示中文，改用英文",
    "write them into [site] holidays and workdays, or `gated office calendar set` for every gate":
        "写入 [site] holidays 和 workdays，或在社区运行 `gated office calendar set`",
    "the holidays and make-up working days of {} are not known yet": "还不知道 {0} 年的节假日和调休日",
    "{} is no day of the calendar and never holds": "{0} 不是日历上的日子，永远不会生效",
    "{} cannot be written by this user": "当前用户不能写入 {0}",
    "make it writable for the gate's user": "让门的用户可以写入",
    "{} is not there yet": "{0} 还不存在",
    "the first start makes it": "第一次启动时建立",
    "{} is another user's: what works here may not work there": "{0} 属于别的用户：这里有效，那里未必有效",
    "run the doctor as the gate's user": "用门的用户运行检查",
    "{} can be written; {} MB free": "{0} 可以写入，剩余 {1} MB",
    "make room: soon nothing can be written down": "清理空间：很快就什么也记不下",
    "make room": "清理空间",
    "there is none yet": "还没有",
    "the first `gated run` begins it": "第一次 `gated run` 时开始",
    "`gated events verify` says more": "`gated events verify` 有详细说明",
    "row {} is not as it was written: {}": "第 {0} 行与写入时不同：{1}",
    "keep the file as it is, and find out who changed it": "保留文件原样，查明是谁改的",
    "{} rows, each as it was written; head {}": "{0} 行，均与写入时一致；末行 {1}",
    "trusted: by the settings": "可信：由设置决定",
    "trusted: it is kept": "可信：有人校时",
    "not trusted: {}; what has hours or a last day does not open": "不可信：{0}；限时段或限日期的不能开门",
    "see `timedatectl`: reach a time server, or have the office agree on the time":
        "见 `timedatectl`：连接时间服务器，或让办公室核对时间",
    "if the time is right, a wrong one was believed: stop the gate, delete {}, start it":
        "如果现在的时间是对的，说明曾采信过错误的时间：停止本门，删除 {0}，再启动",
    "unknown: vcgencmd does not answer": "不明：vcgencmd 没有回答",
    "unknown: this is no Raspberry Pi": "不明：这不是树莓派",
    "let the gate's user join the group video": "把门的用户加入 video 组",
    "look again on the gate's own board": "在门的主板上再看",
    "now {}": "现在 {0}",
    "fit the Pi's own supply and a short, thick cable": "换树莓派原装电源和短而粗的电源线",
    "well now; since power-on {}": "现在正常；通电以来 {0}",
    "fit the Pi's own supply, and see what hangs on its 5 V": "换树莓派原装电源，并检查 5 V 上接了什么",
    "never too low nor throttled since power-on": "通电以来没有电压过低或降速",
    "unknown: no sensor tells": "不明：没有传感器",
    "{} °C": "{0} °C",
    "{}: the processor is as slow as it gets": "{0}：处理器已降到最慢",
    "{}: soon the processor is slowed": "{0}：处理器即将降速",
    "give the case shade, a heat sink or a vent": "遮阳、加散热片或开通风口",
    "unknown: the kernel does not tell": "不明：内核没有提供",
    "mount /proc, without ProcSubset=pid": "挂载 /proc，不要 ProcSubset=pid",
    "{} of {} MB free": "共 {1} MB，剩余 {0} MB",
    "end what else runs here, or take a board with more": "结束其他程序，或换内存更大的主板",
    "pair the gate anew: `gated office invite` there, `gated pair` here": "重新配对：社区运行 `gated office invite`，这里运行 `gated pair`",
    "{}: is none that can be read": "{0}：不是能读的证书",
    "it is {}'s, and this gate is {}": "这是 {0} 的证书，而这道门是 {1}",
    "mend [gate] id, or {}": "改正 [gate] id，或{0}",
    "ask the office for a new one, then {}": "向社区要新的，再{0}",
    "none is believed: an update needs no signature": "未设置：更新不需要签名",
    "`sudo gated update --key release.pub` names one": "用 `sudo gated update --key release.pub` 设置",
    "updates must be signed with {}": "更新必须由 {0} 签名",
    "ended on {}: nobody believes it any more": "已于 {0} 到期，不再有效",
    "ends on {}, in {} days": "{0} 到期，还有 {1} 天",
    "ends on {}, in {} days, and was not renewed by itself": "{0} 到期，还有 {1} 天，未能自动续期",
    "{}, and was not renewed by itself": "{0}，未能自动续期",
    "without it no template opens: mend that, or bring the key back": "没有它人脸数据打不开：修好它，或恢复密钥",
    "can be read, by the gate's user alone": "只有门的用户可以读取",
    "{}: cannot be read ({})": "{0}：不能读取（{1}）",
    "run as the gate's user, or {}": "用门的用户运行，或{0}",
    "{}: not sealed with the site key": "{0}：还没有用本站密钥加密",
    "the gate's next start seals it": "下次启动时会自动加密",
    "{}: others may read it": "{0}：别的用户可以读取",
    "chmod 600 {}; then {}": "chmod 600 {0}；再{1}",
    "load, fit their certificate, and are the gate's user's alone": "可用，与证书一致，只属于门的用户",
    "no default route": "没有默认路由",
    "plug in the cable, or look at `nmcli`": "插好网线，或看 `nmcli`",
    "default route by {}": "默认路由：{0}",
    "none is set: the gate keeps to itself": "未设置：这道门独立工作",
    "`gated pair`, with a code from the office": "用社区给的代码运行 `gated pair`",
    "{}: no such name within {} s": "{0}：{1} 秒内查不到这个名字",
    "look at the name server, or at sync.url": "检查域名服务器或 sync.url",
    "{}:{} and this gate do not believe each other: {}": "{0}:{1} 与这道门互不信任：{2}",
    "look at both clocks and certificates; then {}": "检查两边的时钟和证书；再{0}",
    "{}:{} ({}) does not answer: {}": "{0}:{1}（{2}）没有回答：{3}",
    "is it up, and does a firewall let the gate through?": "它开着吗？防火墙放行了吗？",
    "{}:{} ({}) takes this gate's certificate, {}, {} ms": "{0}:{1}（{2}）接受这道门的证书，{3}，{4} 毫秒",
    "look at `findmnt` and `dmesg`": "看 `findmnt` 和 `dmesg`",
    "{} ({}) is mounted read-only: nothing is kept": "{0}（{1}）是只读挂载：什么也存不下",
    "look at `dmesg`; a card that fails goes read-only: change it": "看 `dmesg`；坏卡会变只读，请更换",
    "{} has {} errors in its file system": "{0} 的文件系统有 {1} 个错误",
    "save what is on it, and change the card": "备份数据并换卡",
    "{} ({}) takes writes; its wear is unknown: cards do not tell it": "{0}（{1}）可以写入；磨损不明：存储卡不提供",
    "{} has spent {} % of its life": "{0} 已用掉 {1} % 的寿命",
    "change it before it fails": "在损坏之前更换",
    "{} takes writes; at most {} % of its life is spent": "{0} 可以写入；寿命最多用掉 {1} %",
    "{} frames a second of {}": "每秒 {0} 帧，要求 {1} 帧",
    "take a smaller picture ([camera] width), or see what else runs": "减小画面（[camera] width），或看还有什么在运行",
    "brightness {} of 255{}": "亮度 {0}（满值 255）{1}",
    "brightness {} of 255": "亮度 {0}（满值 255）",
    "put a lamp over the gate": "在门上方装灯",
    "turn the camera away from the sky": "让摄像头避开天空",
    "sharpness {}": "清晰度 {0}",
    "wipe the lens, take its film off, or turn it": "擦镜头、撕掉保护膜，或调焦",
    "{} ms a frame, {} of it the models' ({})": "每帧 {0} 毫秒，其中模型 {1}（{2}）",
    "lower [camera] fps, or take a faster board": "降低 [camera] fps，或换更快的主板",
    "{} s for {} frames and their models; {} s are promised": "{1} 帧加模型共 {0} 秒；约定 {2} 秒",
    "more [camera] fps if the board keeps up, fewer [access] frames, or a faster board":
        "主板跟得上就提高 [camera] fps，减少 [access] frames，或换更快的主板",
    "see that the ribbon sits at both ends, and `rpicam-hello --list`": "检查排线两端是否插好，并运行 `rpicam-hello --list`",
    "nobody is in view": "画面里没有人",
    "stand before the gate, and look once more": "站到门前再看一次",
    "a face of {} x {} px, {} across and {} down of the middle": "人脸 {0} x {1} 像素，距中心横 {2}、纵 {3}",
    "turn the camera until a face at the gate is in the middle": "转动摄像头，让门前的人脸在中间",
    "run it once more while nothing else runs here": "没有其他程序时再运行一次",
    "the last {} took {} s from their frame, 95 % at most {} s": "最近 {0} 次从画面到判断 {1} 秒，95 % 不超过 {2} 秒",
    "{}; {} s are promised": "{0}；约定 {1} 秒",
    "see what else runs here; stop the gate and `gated doctor --measure`": "看还有什么在运行；停门后运行 `gated doctor --measure`",
    "the gate that runs has it: nothing was measured": "正在运行的门占用它：没有测量",
    "`systemctl stop gated`, measure, and start it again": "`systemctl stop gated`，测量，再启动",
    "the gate that runs has lost it": "正在运行的门已失去它",
    "since {}: nobody is let in": "从 {0} 起：不放任何人进门",
    "when it is over: `gated lockdown off --by NAME`": "结束时运行：`gated lockdown off --by NAME`",
    "was not tried": "没有测试",
    "try it before the gate is handed over": "交付前请测试",
    "the latch: {}; at the gate it was otherwise": "门锁程序说：{0}；现场不是这样",
    "look at the lock's kind and supply, its bolt and its closer": "检查锁的类型、供电、锁舌和闭门器",
    "the leaf stands open already": "门扇已经开着",
    "shut it; if it is, look at its contact": "关上门；如已关上，请查门磁",
    "none is fitted": "没有安装",
    "fit lamps: who cannot hear must see what the gate does": "装指示灯：听不见的人要看得到",
    "as they should be: {}": "都正常：{0}",
    "not all as they should be: {}": "不全正常：{0}",
    "look at the pins in [cues] and their wires": "检查 [cues] 的引脚和接线",
    "no loudspeaker is set": "没有设置扬声器",
    'fit one, for who cannot see, and set [cues] sound = "alsa"': "给看不见的人装一个，并设置 [cues] sound = \"alsa\"",
    "the loudspeaker does not take it": "扬声器不能播放",
    "apt-get install alsa-utils, or name a device of `aplay -L` in [cues] sound_device":
        "apt-get install alsa-utils，或在 [cues] sound_device 写上 `aplay -L` 列出的设备",
    "heard, at volume {}": "听到了，音量 {0}",
    "was not heard as it should be": "没有听清",
    "look at [cues] volume, `alsamixer`, and the wires": "检查 [cues] volume、`alsamixer` 和接线",
    "the latch refuses: {}": "门锁程序拒绝：{0}",
    "end what stands against it, and try once more": "排除原因，再试一次",
    "the latch did not release the lock": "门锁程序没有开锁",
    "look at the log of the latch": "看门锁程序的日志",
    "{}: {}": "{0}：{1}",
    "look at the relay board's supply, then at that wire": "先查继电器板供电，再查那根线",
    "the lock was not secured again": "锁没有重新锁上",
    "cut its power; look at the relay and the log of the latch": "断开锁的电源；检查继电器和门锁程序的日志",
    "released, and secured after {} s; no contact watches": "已开锁，{0} 秒后锁上；没有门磁",
    "released for {} s, and the contact saw nothing open": "开锁 {0} 秒，门磁没有发现门打开",
    "if the leaf was opened look at its contact, else at the lock's supply": "如果门开过请查门磁，否则查锁的供电",
    "the leaf opened, and was not seen shut": "门开了，没有看到关上",
    "shut it; look at its closer and contact": "关上门；检查闭门器和门磁",
    "released, open after {} s, shut after {} s, secured after {} s": "已开锁，{0} 秒后打开，{1} 秒后关上，{2} 秒后锁上",
}  # fmt: skip


def part(name: str) -> str:
    """Return the Chinese name of a part."""
    if name in PARTS:
        return PARTS[name]
    if name.startswith("way in: "):
        way = name.removeprefix("way in: ")
        return f"进门方式：{WAYS.get(way, way)}"
    if name.startswith("reader "):
        return f"读卡器 {name.removeprefix('reader ')}"
    door, _, wire = name.replace(": ", ".").partition(".")
    return f"{DOORS[door]}：{WIRES[wire]}" if door in DOORS and wire in WIRES else name


def door(name: str, wires: Wires) -> str:
    """Return the description of a door: its lock, its pins, and how long it stays released."""
    level = "高" if wires.lock_active_high else "低"
    inputs = (("门磁", wires.contact_pin), ("出门按钮", wires.rex_pin), ("消防", wires.fire_pin))
    told = "，".join(f"{what} {'无' if pin is None else pin}" for what, pin in inputs)
    return f"{DOORS[name]}：{LOCKS[wires.lock]}，引脚 {wires.lock_pin}，{level}电平有效，{told}，开锁 {wires.release_s:g} 秒"


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
    return "、".join(WAYS[each] for each in several) if all(each in WAYS for each in several) else sentence(value)


@cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    """Return the sentences with values as patterns. The longest fixed text comes first."""
    found = sorted((each for each in SENTENCES if "{}" in each), key=lambda each: -len(each.replace("{}", "")))
    return [
        (re.compile("(.+?)".join(map(re.escape, each.split("{}"))), re.DOTALL), SENTENCES[each])
        for each in found
        if each.replace("{}", "").strip(" :")
    ]
