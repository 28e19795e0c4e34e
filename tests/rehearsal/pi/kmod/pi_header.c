// SPDX-License-Identifier: GPL-2.0
/*
 * pi_header: the 40-pin header of a Raspberry Pi in a virtual machine, with everything that is wired to it.
 *
 * It registers a GPIO chip of 54 lines under the label of a Pi's chip. It also makes /proc/device-tree with the model
 * and the revision of a Pi, and a thermal zone. The lines form nets. A net has the lines that a wire or a closed switch
 * joins. Its level follows, in this order: outputs and hands (low wins, and a clash is counted), a resistor, the pull
 * of a line, the level before. Every change of a net's level is an edge. Edges go to a ring, and those of watched lines
 * also to the kernel log with both clocks, so that a serial console keeps them through a power cut.
 *
 * Module parameters: wires=17-27,23-26  resistors=17d  hands=22l,24l  outputs=17l (set by the firmware)  watch=17,23
 *                    label, model, revision, chips_before, keep_outputs (0 is dtparam=strict_gpiod), temperature,
 *                    pulse_us
 * /proc/pi-header/control   write: low N | high N | float N | join A B | part A B | card D0 D1 BITS | mark TEXT | clear
 * /proc/pi-header/lines     one row a line: number direction level pull hand net
 * /proc/pi-header/edges     one row an edge: index, monotonic ns, wall clock ns, first line of the net, level, cause
 * /proc/pi-header/counts    edges, lost edges, clashes
 */
#include <linux/delay.h>
#include <linux/device.h>
#include <linux/gpio/driver.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/platform_device.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/version.h>
#include <linux/vmalloc.h>
#include "edge_requests.h"

#define LINES 54
#define RING 65536
#define SWITCHES 32
#define MOST_SHOWN 4
#define CHIPS_BEFORE_MOST 15
#define NONE (-1)
#define FLOATING 2

static char *wires = "", *resistors = "", *hands = "", *outputs = "", *watch = "";
static char *label = "pinctrl-bcm2711", *model = "Raspberry Pi 4 Model B Rev 1.5";
static uint revision = 0xc03115, chips_before, pulse_us = 50;
static bool keep_outputs = true;
static int temperature = 48000;
module_param(wires, charp, 0444);
module_param(resistors, charp, 0444);
module_param(hands, charp, 0444);
module_param(outputs, charp, 0444);
module_param(watch, charp, 0444);
module_param(label, charp, 0444);
module_param(model, charp, 0444);
module_param(revision, uint, 0444);
module_param(chips_before, uint, 0444);
module_param(pulse_us, uint, 0644);
module_param(keep_outputs, bool, 0644);
module_param(temperature, int, 0644);

enum cause { BY_OUTPUT, BY_INPUT, BY_FREE, BY_PULL, BY_HAND, BY_SWITCH };
static const char *const cause_names[] = { "output", "input", "free", "pull", "hand", "switch" };
static const char *const level_names[] = { "-", "low", "high" };

struct pin {
	bool is_output, value, is_watched;
	s8 pull, hand, resistor;
	u8 wire;
};

struct edge {
	u64 at, wall;
	u8 net, level, cause;
};

static struct pin pins[LINES];
static u8 net_of[LINES], level_of[LINES];
static struct { u8 a, b; bool is_closed; } switches[SWITCHES];
static struct edge *ring;
static u64 edges_seen, edges_cleared, clashes;
static DEFINE_RAW_SPINLOCK(guard);
static DEFINE_MUTEX(one_card);
static struct gpio_chip header, others[CHIPS_BEFORE_MOST];
static struct platform_device *board;
static struct device *zone;
static struct proc_dir_entry *tree, *folder;

/* Nets. The caller holds the guard. */

static void regroup(void)
{
	int i, s;
	bool is_changed = true;

	for (i = 0; i < LINES; i++)
		net_of[i] = pins[i].wire;
	while (is_changed) {
		is_changed = false;
		for (s = 0; s < SWITCHES; s++) {
			u8 low, high;

			if (!switches[s].is_closed)
				continue;
			low = min(net_of[switches[s].a], net_of[switches[s].b]);
			high = max(net_of[switches[s].a], net_of[switches[s].b]);
			if (low == high)
				continue;
			for (i = 0; i < LINES; i++)
				if (net_of[i] == high)
					net_of[i] = low;
			is_changed = true;
		}
	}
}

static u8 level_for(u8 net)
{
	bool pulls_low = false, pulls_high = false;
	int resistor = NONE, pull = NONE, i;

	for (i = 0; i < LINES; i++) {
		if (net_of[i] != net)
			continue;
		if (pins[i].is_output) {
			pulls_high |= pins[i].value;
			pulls_low |= !pins[i].value;
		} else if (pins[i].pull != NONE) {
			pull = pins[i].pull;
		}
		pulls_high |= pins[i].hand == 1;
		pulls_low |= pins[i].hand == 0;
		if (pins[i].resistor != NONE)
			resistor = pins[i].resistor;
	}
	if (pulls_low && pulls_high)
		clashes++;
	if (pulls_low || pulls_high)
		return !pulls_low;
	if (resistor != NONE)
		return resistor;
	return pull != NONE ? pull : FLOATING;
}

/* Give every net its level, record the edges, and drop the guard. Then call the listeners. */
static void update(enum cause cause, unsigned long flags)
{
	u64 raised = 0, rising = 0, at = ktime_get_ns(), wall = ktime_get_real_ns(), shown[MOST_SHOWN];
	int net, i, shown_count = 0;

	for (net = 0; net < LINES; net++) {
		u8 level, is_watched = false, is_there = false, before = 0;

		for (i = 0; i < LINES; i++) {
			if (net_of[i] != net)
				continue;
			if (!is_there)
				before = level_of[i];
			is_there = true;
			is_watched |= pins[i].is_watched;
		}
		if (!is_there)
			continue;
		level = level_for(net);
		if (level > 1)
			level = before;
		for (i = 0; i < LINES; i++) {
			if (net_of[i] != net || level_of[i] == level)
				continue;
			level_of[i] = level;
			raised |= BIT_ULL(i);
			if (level)
				rising |= BIT_ULL(i);
		}
		if (level == before)
			continue;
		ring[edges_seen++ % RING] = (struct edge){ at, wall, net, level, cause };
		if (is_watched && shown_count < MOST_SHOWN)
			shown[shown_count++] = edges_seen - 1;
	}
	raw_spin_unlock_irqrestore(&guard, flags);
	for (i = 0; i < LINES; i++)
		if (raised & BIT_ULL(i))
			pi_raise_edge(i, rising & BIT_ULL(i));
	for (i = 0; i < shown_count; i++) {
		const struct edge *edge = &ring[shown[i] % RING];

		pr_alert("pi-header edge %llu %llu %u %u %s\n", edge->at, edge->wall, edge->net, edge->level,
			 cause_names[edge->cause]);
	}
}

/* The GPIO chip. */

static int header_direction(struct gpio_chip *chip, unsigned int n)
{
	return pins[n].is_output ? GPIO_LINE_DIRECTION_OUT : GPIO_LINE_DIRECTION_IN;
}

static int header_to_input(struct gpio_chip *chip, unsigned int n)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&guard, flags);
	pins[n].is_output = false;
	update(BY_INPUT, flags);
	return 0;
}

static int header_to_output(struct gpio_chip *chip, unsigned int n, int value)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&guard, flags);
	pins[n].value = value;
	pins[n].is_output = true;
	update(BY_OUTPUT, flags);
	return 0;
}

static int header_get(struct gpio_chip *chip, unsigned int n)
{
	return level_of[n];
}

static void header_drive(unsigned int n, int value)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&guard, flags);
	pins[n].value = value;
	update(BY_OUTPUT, flags);
}

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 17, 0)
static int header_set(struct gpio_chip *chip, unsigned int n, int value)
{
	header_drive(n, value);
	return 0;
}
#else
static void header_set(struct gpio_chip *chip, unsigned int n, int value)
{
	header_drive(n, value);
}
#endif

static int header_set_config(struct gpio_chip *chip, unsigned int n, unsigned long config)
{
	unsigned long flags;
	s8 pull;

	switch (pinconf_to_config_param(config)) {
	case PIN_CONFIG_BIAS_DISABLE:
		pull = NONE;
		break;
	case PIN_CONFIG_BIAS_PULL_UP:
		pull = 1;
		break;
	case PIN_CONFIG_BIAS_PULL_DOWN:
		pull = 0;
		break;
	default:
		return -ENOTSUPP;
	}
	raw_spin_lock_irqsave(&guard, flags);
	pins[n].pull = pull;
	update(BY_PULL, flags);
	return 0;
}

static void header_free(struct gpio_chip *chip, unsigned int n)
{
	unsigned long flags;

	if (keep_outputs)
		return;
	raw_spin_lock_irqsave(&guard, flags);
	pins[n].is_output = false;
	update(BY_FREE, flags);
}

/* Chips of other parts of a Pi 5, which have lower numbers there. Their lines do nothing. */

static int other_direction(struct gpio_chip *chip, unsigned int n)
{
	return GPIO_LINE_DIRECTION_IN;
}

static int other_get(struct gpio_chip *chip, unsigned int n)
{
	return 0;
}

/* The world outside of the Pi. */

static void set_hand(unsigned int n, s8 level)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&guard, flags);
	pins[n].hand = level;
	update(BY_HAND, flags);
}

static int set_switch(unsigned int a, unsigned int b, bool is_closed)
{
	unsigned long flags;
	int s, free = NONE;

	raw_spin_lock_irqsave(&guard, flags);
	for (s = 0; s < SWITCHES; s++) {
		if (switches[s].is_closed && switches[s].a == a && switches[s].b == b)
			break;
		if (!switches[s].is_closed)
			free = s;
	}
	if (s == SWITCHES && is_closed) {
		if (free == NONE) {
			raw_spin_unlock_irqrestore(&guard, flags);
			return -ENOSPC;
		}
		s = free;
	}
	if (s < SWITCHES) {
		switches[s].a = a;
		switches[s].b = b;
		switches[s].is_closed = is_closed;
	}
	regroup();
	update(BY_SWITCH, flags);
	return 0;
}

/* A Wiegand reader: idle high, a low pulse on D0 is a 0 and on D1 a 1, one bit in 2 ms (SIA AC-01). */
static void hold_card(unsigned int d0, unsigned int d1, const char *bits)
{
	mutex_lock(&one_card);
	set_hand(d0, 1);
	set_hand(d1, 1);
	usleep_range(1900, 2100);
	for (; *bits == '0' || *bits == '1'; bits++) {
		unsigned int line = *bits == '1' ? d1 : d0;

		set_hand(line, 0);
		udelay(min(pulse_us, 1000u));
		set_hand(line, 1);
		usleep_range(1900, 2100);
	}
	mutex_unlock(&one_card);
}

static ssize_t control_write(struct file *file, const char __user *from, size_t size, loff_t *at)
{
	char text[256], word[16];
	unsigned int a = 0, b = 0;
	int begin = 0, known;

	if (size >= sizeof(text))
		return -EINVAL;
	if (copy_from_user(text, from, size))
		return -EFAULT;
	text[size] = 0;
	strim(text);
	if (sscanf(text, "card %u %u %n", &a, &b, &begin) == 2 && begin && a < LINES && b < LINES) {
		hold_card(a, b, text + begin);
		return size;
	}
	if (!strncmp(text, "mark ", 5)) {
		pr_alert("pi-header mark %llu %s\n", ktime_get_real_ns(), text + 5);
		return size;
	}
	if (!strcmp(text, "clear")) {
		unsigned long flags;

		raw_spin_lock_irqsave(&guard, flags);
		edges_cleared = edges_seen;
		clashes = 0;
		raw_spin_unlock_irqrestore(&guard, flags);
		return size;
	}
	known = sscanf(text, "%15s %u %u", word, &a, &b);
	if (known < 2 || a >= LINES || b >= LINES)
		return -EINVAL;
	if (known == 3 && (!strcmp(word, "join") || !strcmp(word, "part")))
		return set_switch(a, b, !strcmp(word, "join")) ?: size;
	if (!strcmp(word, "low"))
		set_hand(a, 0);
	else if (!strcmp(word, "high"))
		set_hand(a, 1);
	else if (!strcmp(word, "float"))
		set_hand(a, NONE);
	else
		return -EINVAL;
	return size;
}

static const struct proc_ops control_ops = { .proc_write = control_write };

static int lines_show(struct seq_file *to, void *unused)
{
	int i;

	for (i = 0; i < LINES; i++)
		seq_printf(to, "%d %s %d %s %s %d\n", i, pins[i].is_output ? "out" : "in", level_of[i],
			   level_names[pins[i].pull + 1], level_names[pins[i].hand + 1], net_of[i]);
	return 0;
}

static int counts_show(struct seq_file *to, void *unused)
{
	u64 held = edges_seen - edges_cleared;

	seq_printf(to, "edges %llu\nlost %llu\nclashes %llu\n", held, held > RING ? held - RING : 0, clashes);
	return 0;
}

static void *edges_at(struct seq_file *to, loff_t *at)
{
	u64 first = max_t(s64, edges_cleared, (s64)edges_seen - RING);

	return first + *at < edges_seen ? &ring[(first + *at) % RING] : NULL;
}

static void *edges_next(struct seq_file *to, void *now, loff_t *at)
{
	++*at;
	return edges_at(to, at);
}

static void edges_stop(struct seq_file *to, void *now)
{
}

static int edges_show(struct seq_file *to, void *now)
{
	const struct edge *edge = now;

	seq_printf(to, "%llu %llu %u %u %s\n", edge->at, edge->wall, edge->net, edge->level, cause_names[edge->cause]);
	return 0;
}

static const struct seq_operations edges_ops = {
	.start = edges_at,
	.next = edges_next,
	.stop = edges_stop,
	.show = edges_show,
};

/* Facts about the board. */

static int model_show(struct seq_file *to, void *unused)
{
	seq_puts(to, model);
	seq_putc(to, 0);
	return 0;
}

static int serial_show(struct seq_file *to, void *unused)
{
	seq_puts(to, "10000000c0ffee01");
	seq_putc(to, 0);
	return 0;
}

static int revision_show(struct seq_file *to, void *unused)
{
	__be32 word = cpu_to_be32(revision);

	seq_write(to, &word, sizeof(word));
	return 0;
}

static ssize_t temp_show(struct device *of, struct device_attribute *attribute, char *to)
{
	return sysfs_emit(to, "%d\n", temperature);
}
static DEVICE_ATTR_RO(temp);

static ssize_t type_show(struct device *of, struct device_attribute *attribute, char *to)
{
	return sysfs_emit(to, "cpu-thermal\n");
}
static DEVICE_ATTR_RO(type);

static struct attribute *zone_attrs[] = { &dev_attr_temp.attr, &dev_attr_type.attr, NULL };
ATTRIBUTE_GROUPS(zone);
static const struct class thermal = { .name = "thermal" };

/* Parameters such as "17d,4u": a line and a letter each. */

static int each_letter(const char *text, const char *letters, void (*apply)(unsigned int n, bool is_second))
{
	char *copy = kstrdup(text, GFP_KERNEL), *rest = copy, *word;
	int error = copy ? 0 : -ENOMEM;

	while (!error && (word = strsep(&rest, ","))) {
		unsigned int n;
		char letter;

		if (!*word)
			continue;
		if (sscanf(word, "%u%c", &n, &letter) != 2 || n >= LINES || !strchr(letters, letter))
			error = -EINVAL;
		else
			apply(n, letter == letters[1]);
	}
	kfree(copy);
	return error;
}

static void put_resistor(unsigned int n, bool is_up)
{
	pins[n].resistor = is_up;
}

static void put_hand(unsigned int n, bool is_high)
{
	pins[n].hand = is_high;
}

static void put_output(unsigned int n, bool is_high)
{
	pins[n].is_output = true;
	pins[n].value = is_high;
}

/* Parameters such as "17-27,23-26": groups of lines. Without `is_wire` each line is watched. */
static int each_group(const char *text, bool is_wire)
{
	char *copy = kstrdup(text, GFP_KERNEL), *rest = copy, *group, *word;
	int error = copy ? 0 : -ENOMEM;

	while (!error && (group = strsep(&rest, ","))) {
		int first = NONE;

		while (!error && *group && (word = strsep(&group, "-"))) {
			unsigned int n;

			error = kstrtouint(word, 10, &n) ?: n < LINES ? 0 : -EINVAL;
			if (error)
				break;
			if (first == NONE)
				first = n;
			if (is_wire)
				pins[n].wire = min((int)pins[n].wire, first);
			else
				pins[n].is_watched = true;
			if (!group)
				break;
		}
	}
	kfree(copy);
	return error;
}

static int wire_up(void)
{
	int i, error;

	for (i = 0; i < LINES; i++) /* pulls after a reset: BCM2711 ARM Peripherals, section 5.2 */
		pins[i] = (struct pin){ .wire = i, .pull = i < 9, .hand = NONE, .resistor = NONE };
	error = each_group(wires, true) ?: each_group(watch, false) ?: each_letter(resistors, "du", put_resistor) ?:
		each_letter(hands, "lh", put_hand) ?: each_letter(outputs, "lh", put_output);
	if (error)
		return error;
	for (i = 0; i < LINES; i++) /* a finger or a probe is no pin of this Pi, and pulls at nothing */
		if (pins[i].wire != i)
			pins[i].pull = NONE;
	regroup();
	for (i = 0; i < LINES; i++) {
		u8 level = level_for(net_of[i]);

		level_of[i] = level > 1 ? 0 : level;
		if (pins[i].is_watched)
			pr_alert("pi-header start %llu %d %d\n", ktime_get_real_ns(), net_of[i], level_of[i]);
	}
	return 0;
}

static int add_chips(void)
{
	unsigned int i, n = min(chips_before, (uint)CHIPS_BEFORE_MOST);
	int error;

	for (i = 0; i < n; i++) {
		others[i] = (struct gpio_chip){ .label = "gpio-brcmstb@107d508500", .owner = THIS_MODULE, .base = -1,
			.parent = &board->dev, .ngpio = 4, .get_direction = other_direction, .get = other_get };
		error = devm_gpiochip_add_data(&board->dev, &others[i], NULL);
		if (error)
			return error;
	}
	header = (struct gpio_chip){ .label = label, .owner = THIS_MODULE, .base = -1, .parent = &board->dev,
		.ngpio = LINES, .get_direction = header_direction, .direction_input = header_to_input,
		.direction_output = header_to_output, .get = header_get, .set = header_set,
		.set_config = header_set_config, .free = header_free };
	return devm_gpiochip_add_data(&board->dev, &header, NULL);
}

static int __init pi_header_init(void)
{
	int error;

	ring = vzalloc(RING * sizeof(*ring));
	if (!ring)
		return -ENOMEM;
	error = wire_up();
	if (error)
		goto no_wires;
	board = platform_device_register_simple("pi-header", PLATFORM_DEVID_NONE, NULL, 0);
	if (IS_ERR(board)) {
		error = PTR_ERR(board);
		goto no_wires;
	}
	error = add_chips();
	if (error)
		goto no_chips;
	folder = proc_mkdir("pi-header", NULL);
	proc_create("control", 0222, folder, &control_ops);
	proc_create_single("lines", 0444, folder, lines_show);
	proc_create_single("counts", 0444, folder, counts_show);
	proc_create_seq("edges", 0444, folder, &edges_ops);
	tree = proc_mkdir("device-tree", NULL);
	if (tree) {
		proc_mkdir("system", tree);
		proc_create_single("model", 0444, tree, model_show);
		proc_create_single("serial-number", 0444, tree, serial_show);
		proc_create_single("system/linux,revision", 0444, tree, revision_show);
	}
	error = class_register(&thermal);
	if (!error)
		zone = device_create_with_groups(&thermal, NULL, 0, NULL, zone_groups, "thermal_zone0");
	return 0;
no_chips:
	platform_device_unregister(board);
no_wires:
	vfree(ring);
	return error;
}

static void __exit pi_header_exit(void)
{
	if (!IS_ERR_OR_NULL(zone)) {
		device_unregister(zone);
		class_unregister(&thermal);
	}
	proc_remove(tree);
	proc_remove(folder);
	platform_device_unregister(board);
	vfree(ring);
}

module_init(pi_header_init);
module_exit(pi_header_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("The header of a Raspberry Pi for a virtual machine");
