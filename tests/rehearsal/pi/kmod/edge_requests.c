// SPDX-License-Identifier: GPL-2.0
/* Who listens to the edges of a line: see edge_requests.h. */
#include <linux/module.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>
#include "edge_requests.h"

#define LINES 64

struct listener {
	irq_handler_t first, second;
	unsigned long flags;
	void *data;
	struct work_struct work;
	unsigned int number;
};

static struct listener listeners[LINES];
static DEFINE_RAW_SPINLOCK(guard);

static void run_second(struct work_struct *work)
{
	struct listener *listener = container_of(work, struct listener, work);

	listener->second(listener->number, listener->data);
}

int pi_request_edge(unsigned int number, irq_handler_t first, irq_handler_t second, unsigned long flags,
		    const char *name, void *data)
{
	unsigned long saved;
	int error = 0;

	if (number >= LINES)
		return -EINVAL;
	raw_spin_lock_irqsave(&guard, saved);
	if (listeners[number].first) {
		error = -EBUSY;
	} else {
		INIT_WORK(&listeners[number].work, run_second);
		listeners[number].second = second;
		listeners[number].flags = flags;
		listeners[number].data = data;
		listeners[number].number = number;
		listeners[number].first = first;
	}
	raw_spin_unlock_irqrestore(&guard, saved);
	return error;
}

const void *pi_free_edge(unsigned int number, void *data)
{
	unsigned long saved;

	raw_spin_lock_irqsave(&guard, saved);
	listeners[number].first = NULL;
	raw_spin_unlock_irqrestore(&guard, saved);
	cancel_work_sync(&listeners[number].work);
	return NULL;
}

void pi_raise_edge(unsigned int line, bool is_rising)
{
	struct listener *listener = &listeners[line + 1];
	unsigned long saved;

	raw_spin_lock_irqsave(&guard, saved);
	if (listener->first && listener->flags & (is_rising ? IRQF_TRIGGER_RISING : IRQF_TRIGGER_FALLING) &&
	    listener->first(listener->number, listener->data) == IRQ_WAKE_THREAD && listener->second)
		queue_work(system_highpri_wq, &listener->work);
	raw_spin_unlock_irqrestore(&guard, saved);
}
EXPORT_SYMBOL_GPL(pi_raise_edge);
