/* Every allocation of libjpeg fails once while a thumbnail is encoded. malloc() is replaced for the
 * whole program, because libjpeg is a shared library. */
#include <stdlib.h>
#include <string.h>

#include "../test.h"
#include "image/image.h"

static long allocations_left = -1; /* before the one that fails; -1: none fails */

void *__libc_malloc(size_t n);

__attribute__((visibility("default"))) void *malloc(size_t n)
{
    void *p = allocations_left >= 0 && allocations_left-- == 0 ? NULL : __libc_malloc(n);
    if (p)
        memset(p, 0xa5, n); /* what is used without being set is no pointer */
    return p;
}

static void a_thumbnail_without_memory(void)
{
    enum { SIDE = 96 };
    static uint8_t pixels[SIDE * SIDE * 3];
    struct ft_error err;
    int failed = 0;
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(i * i / 7);
    for (long n = 0; n < 60; n++) { /* libjpeg tries again with less, so success is no end */
        uint8_t *bytes = NULL;
        size_t size = 0;
        allocations_left = n;
        const int rc = ft_image_encode_jpeg(pixels, SIDE, SIDE, 90, &bytes, &size, &err);
        allocations_left = -1;
        CHECK(rc == 0 ? size > 1000 : rc == FT_ENOMEM && !bytes);
        failed += rc != 0;
        free(bytes);
    }
    CHECK(failed > 2);
}

int main(void)
{
    RUN(a_thumbnail_without_memory);
    return test_end();
}
