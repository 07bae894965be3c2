/* image/: colours in sRGB by the profiles of pictures, against Pillow's ImageCms
 * (scripts/golden_icc.py). */
#include "pictures.h"

#include "image/icc.h"

struct row {
    char file[64], expected[64];
    int width, height, tolerance;
};

static bool same(const struct row *r, const struct ft_image *image, bool report)
{
    struct ft_bytes want = load("golden/icc", r->expected);
    const size_t n = (size_t)r->width * (size_t)r->height * 3;
    const bool size = image->width == r->width && image->height == r->height && want.size == n;
    const int d = size ? difference(image->pixels, want.data, n) : 256;
    if (report && d > r->tolerance) {
        printf("# %s: off by %d\n", r->file, d);
        test_failures++;
    }
    ft_bytes_release(&want);
    return d <= r->tolerance;
}

/* With the request the pixels are those in sRGB; without it they are those of the file. */
static void colours_equal_pillow(void)
{
    struct ft_bytes index = load("golden/icc", "index");
    FILE *f = fmemopen(index.data, index.size, "r");
    const struct ft_decode_request request = { .icc = true };
    struct ft_error e;
    struct row r;
    int n = 0;
    for (; f && fscanf(f, "%63s %63s %d %d %d", r.file, r.expected, &r.width, &r.height,
                       &r.tolerance) == 5;
         n++) {
        struct ft_bytes bytes = load("golden/icc", r.file);
        struct ft_image image = { 0 };
        if (ft_format_of(bytes.data, bytes.size)->decode) {
            CHECK(!ft_image_decode(bytes.data, bytes.size, &request, &image, &e));
            (void)same(&r, &image, true);
            CHECK(!ft_image_decode(bytes.data, bytes.size, NULL, &image, &e));
            CHECK(same(&r, &image, false) == (r.tolerance == 0));
        }
        ft_image_release(&image);
        ft_bytes_release(&bytes);
    }
    CHECK(n >= 24);
    if (f)
        fclose(f);
    ft_bytes_release(&index);
}

/* Damaged bytes of a profile: a conversion or none, no crash. */
static void damage_bytes(const char *name, size_t step)
{
    struct ft_bytes bytes = load("golden/icc", name);
    const struct ft_decode_request request = { .icc = true };
    struct ft_image image = { 0 };
    struct ft_error e;
    for (size_t i = 0; i < bytes.size; i += step) {
        bytes.data[i] ^= 0x81;
        (void)ft_image_decode(bytes.data, bytes.size, &request, &image, &e);
        bytes.data[i] ^= 0x81;
    }
    CHECK(!ft_image_decode(bytes.data, bytes.size, &request, &image, &e));
    ft_image_release(&image);
    ft_bytes_release(&bytes);
}

static void damaged_profiles(void)
{
    damage_bytes("adobe-rgb.tif", 7);
    damage_bytes("cmyk.tif", 401); /* lcms2 computes a table for each, which takes 20 ms */
}

static void without_a_profile(void)
{
    const struct ft_decode_request request = { .icc = true };
    const struct ft_icc_layout layout = { 3, 3, 3 };
    struct ft_icc *icc = (struct ft_icc *)&request;
    struct ft_error e;
    uint8_t pixel[3] = { 1, 2, 3 };
    CHECK(!ft_icc_open(&request, "", 0, &layout, &icc, &e) && !icc);
    ft_icc_convert(icc, pixel, pixel, 1);
    CHECK(pixel[0] == 1 && pixel[2] == 3);
    ft_icc_free(icc);
    CHECK(ft_picture_profiles() == !ft_icc_check(&e));
}

int main(void)
{
    RUN(without_a_profile);
    if (ft_picture_profiles()) {
        RUN(colours_equal_pillow);
        RUN(damaged_profiles);
    }
    return test_end();
}
