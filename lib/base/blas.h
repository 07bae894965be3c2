/* OpenBLAS beside teams of our own (thread.h). */
#ifndef FT_BASE_BLAS_H
#define FT_BASE_BLAS_H

/* From here on, and before any other use of it, OpenBLAS works in the thread that calls it: two
 * levels of threads are slower than one. Its own threads, which it starts when it is loaded, end:
 * they spin for some 30 ms each, on cores that the first picture wants. */
void ft_blas_alone(void);

#endif
