#include "image/icc.h"

#include "base/error.h"

#ifdef FT_LIBLCMS2
#include <lcms2.h>
#include <lcms2_plugin.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/library.h"

#define CALLS(X)                                                                                   \
    X(cmsCreateContext)                                                                            \
    X(cmsDeleteContext)                                                                            \
    X(cmsGetContextUserData)                                                                       \
    X(cmsOpenProfileFromMemTHR)                                                                    \
    X(cmsCreate_sRGBProfileTHR)                                                                    \
    X(cmsCloseProfile)                                                                             \
    X(cmsGetColorSpace) X(cmsCreateTransformTHR) X(cmsDoTransform) X(cmsDeleteTransform)
FT_LIBRARY(lcms, FT_LIBLCMS2, CALLS);

/* Profiles of printers have some megabytes. */
#define PROFILE_LIMIT ((size_t)32 << 20)
#define BLOCK_LIMIT   (4 * PROFILE_LIMIT)

struct ft_icc {
    cmsContext context;
    cmsHTRANSFORM transform;
    struct ft_icc_layout layout;
    bool no_memory; /* an allocation failed, which lcms2 does not report */
};

static void *note_failure(cmsContext context, void *block)
{
    struct ft_icc *icc = block ? NULL : lcms.cmsGetContextUserData(context);
    if (icc)
        icc->no_memory = true;
    return block;
}

static void *allocate(cmsContext context, cmsUInt32Number size)
{
    return size > BLOCK_LIMIT ? NULL : note_failure(context, malloc(size));
}

static void release(cmsContext context, void *block)
{
    (void)context;
    free(block);
}

static void *reallocate(cmsContext context, void *block, cmsUInt32Number size)
{
    return size > BLOCK_LIMIT ? NULL : note_failure(context, realloc(block, size));
}

bool ft_picture_profiles(void)
{
    return true;
}

int ft_icc_check(struct ft_error *err)
{
    return ft_library_load(&lcms_library, err);
}

static cmsUInt32Number format_of(int space, int colours, int bytes)
{
    return (cmsUInt32Number)(COLORSPACE_SH(space) | EXTRA_SH(bytes - colours) |
                             CHANNELS_SH(colours) | BYTES_SH(1));
}

/* The conversion for pixels of this layout; NULL: it cannot be made. */
static cmsHTRANSFORM make(const struct ft_icc *icc, cmsHPROFILE from, cmsHPROFILE srgb,
                          const struct ft_icc_layout *layout)
{
    const int space = layout->colours == 1 ? PT_GRAY : layout->colours == 3 ? PT_RGB : PT_CMYK;
    return lcms.cmsCreateTransformTHR(icc->context, from,
                                      format_of(space, layout->colours, layout->from), srgb,
                                      format_of(PT_RGB, 3, layout->to), INTENT_PERCEPTUAL, 0);
}

/* Whether no colour of a grid changes by more than one step. */
static bool changes_nothing(const struct ft_icc *icc, cmsHPROFILE from, cmsHPROFILE srgb,
                            int colours)
{
    enum { GRID = 9, STEP = 31, N = GRID * GRID * GRID };
    uint8_t before[3 * N], after[3 * N];
    if (colours == 4)
        return false;
    for (int i = 0; i < N; i++) {
        const int rgb[3] = { i % GRID, i / GRID % GRID, i / GRID / GRID };
        for (int c = 0; c < 3; c++)
            before[3 * i + c] = (uint8_t)(colours == 1 ? i % 256 : rgb[c] * STEP);
    }
    cmsHTRANSFORM t = make(icc, from, srgb, &(struct ft_icc_layout){ colours, 3, 3 });
    if (!t)
        return true; /* no conversion can be made */
    lcms.cmsDoTransform(t, before, after, N);
    lcms.cmsDeleteTransform(t);
    for (int i = 0; i < 3 * N; i++)
        if (abs(before[i] - after[i]) > 1)
            return false;
    return true;
}

static cmsHTRANSFORM open_transform(const struct ft_icc *icc, const void *profile, size_t size,
                                    const struct ft_icc_layout *layout)
{
    const cmsColorSpaceSignature wanted = layout->colours == 1   ? cmsSigGrayData
                                          : layout->colours == 3 ? cmsSigRgbData
                                                                 : cmsSigCmykData;
    cmsHTRANSFORM t = NULL;
    cmsHPROFILE from = lcms.cmsOpenProfileFromMemTHR(icc->context, profile, (cmsUInt32Number)size);
    cmsHPROFILE srgb = from ? lcms.cmsCreate_sRGBProfileTHR(icc->context) : NULL;
    if (srgb && lcms.cmsGetColorSpace(from) == wanted &&
        !changes_nothing(icc, from, srgb, layout->colours))
        t = make(icc, from, srgb, layout);
    if (srgb)
        lcms.cmsCloseProfile(srgb);
    if (from)
        lcms.cmsCloseProfile(from);
    return t;
}

int ft_icc_open(const struct ft_decode_request *request, const void *profile, size_t size,
                const struct ft_icc_layout *layout, struct ft_icc **out, struct ft_error *err)
{
    static cmsPluginMemHandler memory = { { cmsPluginMagicNumber, 2000, cmsPluginMemHandlerSig,
                                            NULL },
                                          allocate,
                                          release,
                                          reallocate,
                                          NULL,
                                          NULL,
                                          NULL };
    *out = NULL;
    if (!request || !request->icc || !size || size > PROFILE_LIMIT)
        return 0;
    int rc = ft_icc_check(err);
    if (rc)
        return rc;
    struct ft_icc *icc = calloc(1, sizeof *icc);
    if (!icc)
        return ft_error_nomem(err, "a colour profile");
    icc->layout = *layout;
    icc->context = lcms.cmsCreateContext(&memory, icc);
    if (icc->context)
        icc->transform = open_transform(icc, profile, size, layout);
    if (!icc->context || icc->no_memory)
        rc = ft_error_nomem(err, "a colour profile");
    if (rc || !icc->transform) {
        ft_icc_free(icc);
        return rc;
    }
    *out = icc;
    return 0;
}

void ft_icc_convert(const struct ft_icc *icc, const uint8_t *from, uint8_t *to, size_t n)
{
    enum { MOST = 1 << 24 }; /* lcms2 counts in 32 bits */
    for (size_t done = 0; icc && done < n; done += MOST) {
        const size_t part = n - done < MOST ? n - done : MOST;
        lcms.cmsDoTransform(icc->transform, from + done * (size_t)icc->layout.from,
                            to + done * (size_t)icc->layout.to, (cmsUInt32Number)part);
    }
}

void ft_icc_free(struct ft_icc *icc)
{
    if (!icc)
        return;
    if (icc->transform)
        lcms.cmsDeleteTransform(icc->transform);
    if (icc->context)
        lcms.cmsDeleteContext(icc->context);
    free(icc);
}

#else

bool ft_picture_profiles(void)
{
    return false;
}

int ft_icc_check(struct ft_error *err)
{
    return ft_error_set(err, FT_EUNSUPPORTED,
                        "colour profiles cannot be used: this finetune was built without lcms2");
}

int ft_icc_open(const struct ft_decode_request *request, const void *profile, size_t size,
                const struct ft_icc_layout *layout, struct ft_icc **out, struct ft_error *err)
{
    (void)profile;
    (void)layout;
    *out = NULL;
    return request && request->icc && size ? ft_icc_check(err) : 0;
}

void ft_icc_convert(const struct ft_icc *icc, const uint8_t *from, uint8_t *to, size_t n)
{
    (void)icc;
    (void)from;
    (void)to;
    (void)n;
}

void ft_icc_free(struct ft_icc *icc)
{
    (void)icc;
}

#endif
