/* The plain loops for the baseline instruction set of the machine; simd/loops.c is the same for
 * wider ones. */
#define FT_ISA c
#include "kernels/loops.h"
