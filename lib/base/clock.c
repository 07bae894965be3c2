#define _GNU_SOURCE
#include <time.h>

#include "finetune-tools.h"

double ft_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
