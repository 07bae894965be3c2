#define _GNU_SOURCE /* RTLD_DEFAULT */
#include "base/blas.h"

#include <cblas.h>
#include <dlfcn.h>
#include <pthread.h>

/* blas_thread_shutdown_ is not in OpenBLAS's header, and not in every build of it. Setting the
 * number of threads again would start them again. */
static void end_threads(void)
{
    int (*shut_down)(void);
    openblas_set_num_threads(1);
    *(void **)&shut_down = dlsym(RTLD_DEFAULT, "blas_thread_shutdown_");
    if (shut_down)
        shut_down();
}

void ft_blas_alone(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, end_threads);
}
