/* The plain loops again, compiled for a wider instruction set (FT_ISA comes from the build). */
#include "kernels/loops.h"
