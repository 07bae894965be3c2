/* The exponentials of attention (loops/attention.c). */
#include <math.h>

#include "kernels/simd/exp.h"
#include "kernels/softmax.h"

/* Sums of the lanes, or their maximum, in order. */
static float lanes_sum(vec v)
{
    float lane[LANES], sum = 0;
    store(lane, v);
    for (int i = 0; i < LANES; i++)
        sum += lane[i];
    return sum;
}

static float lanes_most(vec v)
{
    float lane[LANES];
    store(lane, v);
    float most = lane[0];
    for (int i = 1; i < LANES; i++)
        most = lane[i] > most ? lane[i] : most;
    return most;
}

FT_INLINE vec larger(vec a, vec b)
{
    return clamp(a, b, repeat(INFINITY));
}

float FT_NAME(exponentials)(float *x, int n)
{
    enum { WIDE = AT_ONCE * LANES };
    const mask last = mask_first((n - 1) % LANES + 1);
    const int whole = (n - 1) / LANES * LANES; /* before the last vector */
    vec most = repeat(x[0]), sum[AT_ONCE], v[AT_ONCE];
    int i = 0;
    for (; i < whole; i += LANES)
        most = larger(load(x + i), most);
    for (; i < n; i++)
        most = larger(repeat(x[i]), most);
    const vec top = repeat(lanes_most(most));
    FT_UNROLL
    for (int j = 0; j < AT_ONCE; j++)
        sum[j] = repeat(0);
    for (i = 0; i + WIDE <= whole; i += WIDE) {
        FT_UNROLL
        for (int j = 0; j < AT_ONCE; j++)
            v[j] = clamp(subtract(load(x + i + j * LANES), top), repeat(-87), repeat(0));
        exponentials_of(v, AT_ONCE);
        FT_UNROLL
        for (int j = 0; j < AT_ONCE; j++) {
            store(x + i + j * LANES, v[j]);
            sum[j] = add(sum[j], v[j]);
        }
    }
    for (; i < whole; i += LANES) {
        v[0] = clamp(subtract(load(x + i), top), repeat(-87), repeat(0));
        exponentials_of(v, 1);
        store(x + i, v[0]);
        sum[0] = add(sum[0], v[0]);
    }
    v[0] = clamp(subtract(load_masked(x + i, last), top), repeat(-87), repeat(0));
    exponentials_of(v, 1);
    store_masked(x + i, last, v[0]);
    float total = lanes_sum(sum[0]);
    for (int j = 1; j < AT_ONCE; j++)
        total += lanes_sum(sum[j]);
    for (; i < n; i++)
        total += x[i];
    return 1 / total;
}
