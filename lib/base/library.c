#include "base/library.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#include "base/error.h"

static int load(struct ft_library *l, struct ft_error *err)
{
    void *handle = dlopen(l->file, RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        return ft_error_set(err, FT_EUNSUPPORTED, "library %s cannot be loaded: install it",
                            l->file);
    for (size_t i = 0; l->names[i]; i++) {
        void *function = dlsym(handle, l->names[i]);
        if (!function)
            return ft_error_set(err, FT_EUNSUPPORTED,
                                "library %s has no function %s: its version is wrong", l->file,
                                l->names[i]);
        memcpy((char *)l->functions + i * sizeof function, &function, sizeof function);
    }
    atomic_store(&l->loaded, true);
    return 0;
}

int ft_library_load(struct ft_library *l, struct ft_error *err)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    if (atomic_load(&l->loaded))
        return 0;
    pthread_mutex_lock(&lock);
    const int rc = atomic_load(&l->loaded) ? 0 : load(l, err);
    pthread_mutex_unlock(&lock);
    return rc;
}
