/* OpenBLAS together with the teams of thread.h. */
#ifndef FT_BASE_BLAS_H
#define FT_BASE_BLAS_H

/* Makes OpenBLAS work in the thread that calls it. Call this before any other function of OpenBLAS.
 * It is process-wide and has an effect only once. There are two reasons. Two levels of threads are
 * slower than one. And the threads that OpenBLAS starts when it is loaded spin for about 30 ms each
 * on cores that the first picture needs; they are ended. */
void ft_blas_alone(void);

#endif
