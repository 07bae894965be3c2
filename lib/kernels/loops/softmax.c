/* The exponentials of attention (loops/attention.c) in plain C. */
#include "kernels/softmax.h"
#include "kernels/loops/exp.h"

float FT_NAME(exponentials)(float *x, int n)
{
    float top = x[0], sum = 0;
    for (int i = 1; i < n; i++)
        top = x[i] > top ? x[i] : top;
    for (int i = 0; i < n; i++) {
        x[i] = exp_negative(x[i] - top);
        sum += x[i];
    }
    return 1 / sum;
}
