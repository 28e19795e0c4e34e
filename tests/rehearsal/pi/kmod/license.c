#include <linux/module.h>

MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(DMA_BUF); /* for the heaps */
