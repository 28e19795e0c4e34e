/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Included before gpiolib-cdev.c. User Mode Linux has 64 interrupts, too few for a header, so an edge calls its handlers
 * directly: the first at once, which notes the time, the second from a work queue, which reads the level later.
 */
#include <linux/gpio.h>
#include <linux/gpio/consumer.h>
#include <linux/gpio/driver.h>
#include <linux/interrupt.h>

int pi_request_edge(unsigned int number, irq_handler_t first, irq_handler_t second, unsigned long flags,
		    const char *name, void *data);
const void *pi_free_edge(unsigned int number, void *data);
void pi_raise_edge(unsigned int line, bool is_rising);

#ifdef PI_REPLACES_INTERRUPTS
#define gpiod_to_irq(desc) (gpio_chip_hwgpio(desc) + 1)
#define request_threaded_irq pi_request_edge
#define request_irq(number, first, flags, name, data) pi_request_edge(number, first, NULL, flags, name, data)
#define free_irq pi_free_edge
#endif
