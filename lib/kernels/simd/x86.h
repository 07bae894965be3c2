/* What AVX2 and AVX-512 have in common. Included by their headers alone. */
#ifndef FT_KERNELS_X86_H
#define FT_KERNELS_X86_H

#if !defined(FT_EMULATED) /* no vector is in a register */
/* sum += x * w, in place: without assembly, gcc moves the sums of a loop that uses all registers
 * between registers and through memory. */
FT_INLINE void into(vec *sum, vec x, vec w)
{
    __asm__(FT_PRODUCT " %2, %1, %0" : "+v"(*sum) : "v"(x), "v"(w));
}
FT_INLINE void half_into(half *sum, half x, half w)
{
    __asm__(FT_PRODUCT " %2, %1, %0" : "+v"(*sum) : "v"(x), "v"(w));
}
/* Prevents gcc from loading the value again for every use: a load for every multiplication is too
 * slow. */
FT_INLINE vec in_register(vec v)
{
    __asm__("" : "+v"(v));
    return v;
}
#endif

#endif
