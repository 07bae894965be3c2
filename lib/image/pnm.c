/* PBM, PGM and PPM (P1 to P6), as netpbm specifies them: bits, grey or RGB, as text or as bytes, up
 * to 16 bits per sample. Of a file with several pictures, the first is decoded. Samples are scaled
 * to 8 bits with Pillow's rounding: grey of more than 8 bits goes through 16 bits. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "image/formats.h"

ft_decoder ft_pnm_decode;

struct pnm_reader {
    const uint8_t *at, *end;
    struct ft_error *err;
    bool binary, bits;
    int channels;
    unsigned most; /* the sample that stands for white */
};

static int truncated(const struct pnm_reader *r)
{
    return ft_error_set(r->err, FT_EFORMAT, "truncated PNM: the file ends before the picture does");
}

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void skip_space(struct pnm_reader *r)
{
    while (r->at < r->end && (is_space(*r->at) || *r->at == '#')) {
        if (*r->at == '#')
            while (r->at < r->end && *r->at != '\n' && *r->at != '\r')
                r->at++;
        else
            r->at++;
    }
}

/* A decimal number of at most `most`. */
static int read_number(struct pnm_reader *r, unsigned most, unsigned *out)
{
    uint64_t value = 0;
    skip_space(r);
    const uint8_t *first = r->at;
    for (; r->at < r->end && *r->at >= '0' && *r->at <= '9' && value <= most; r->at++)
        value = value * 10 + (unsigned)(*r->at - '0');
    if (r->at == first && r->at == r->end)
        return truncated(r);
    if (r->at == first || value > most)
        return ft_error_set(r->err, FT_EFORMAT, "damaged PNM: a number from 0 to %u is missing",
                            most);
    *out = (unsigned)value;
    return 0;
}

static int read_header(struct pnm_reader *r, unsigned *width, unsigned *height)
{
    const int kind = r->at[1] - '0';
    r->at += 2;
    r->binary = kind > 3;
    r->bits = kind % 3 == 1;
    r->channels = kind % 3 ? 1 : 3;
    r->most = 1;
    int rc = read_number(r, INT32_MAX, width);
    if (!rc)
        rc = read_number(r, INT32_MAX, height);
    if (!rc && !r->bits)
        rc = read_number(r, 65535, &r->most);
    if (!rc && !r->most)
        rc = ft_error_set(r->err, FT_EFORMAT, "damaged PNM: its largest sample is 0");
    if (!rc && r->binary && r->at++ >= r->end) /* one white space */
        rc = truncated(r);
    return rc;
}

/* Bytes that the samples take at least. */
static uint64_t least_bytes(const struct pnm_reader *r, uint64_t width, uint64_t height)
{
    if (r->bits)
        return r->binary ? (width + 7) / 8 * height : width * height;
    const uint64_t samples = width * height * (uint64_t)r->channels;
    return r->binary ? samples * (r->most > 255 ? 2 : 1) : samples * 2 - 1;
}

static uint8_t scale(const struct pnm_reader *r, unsigned value)
{
    const double share = (double)(value < r->most ? value : r->most) / r->most;
    if (r->channels == 1 && r->most > 255)
        return (uint8_t)((unsigned)nearbyint(share * 65535) >> 8);
    return (uint8_t)nearbyint(share * 255);
}

/* One row of width * channels samples. */
static int read_row(struct pnm_reader *r, size_t n, uint8_t *to)
{
    for (size_t i = 0; i < n; i++) {
        unsigned value = 0;
        int rc = 0;
        if (r->bits && r->binary)
            value = r->at[i / 8] >> (7 - i % 8) & 1;
        else if (r->binary && r->most > 255)
            value = (unsigned)r->at[2 * i] << 8 | r->at[2 * i + 1];
        else if (r->binary)
            value = r->at[i];
        else if (r->bits) { /* the digits need no space between them */
            skip_space(r);
            rc = r->at < r->end ? 0 : truncated(r);
            if (!rc && *r->at != '0' && *r->at != '1')
                rc = ft_error_set(r->err, FT_EFORMAT, "damaged PNM: a bit is neither 0 nor 1");
            value = rc ? 0 : *r->at++ == '1';
        } else
            rc = read_number(r, r->most, &value);
        if (rc)
            return rc;
        to[i] = r->bits ? (value ? 0 : 255) : scale(r, value); /* bit 1 is black */
    }
    if (r->binary)
        r->at += r->bits ? (n + 7) / 8 : r->most > 255 ? 2 * n : n;
    return 0;
}

static void grey_to_rgb(uint8_t *row, size_t n)
{
    for (size_t i = n; i-- > 0;)
        memset(row + 3 * i, row[i], 3);
}

int ft_pnm_decode(const uint8_t *bytes, size_t n, const struct ft_decode_request *request,
                  struct ft_image *out, int *orientation, struct ft_error *err)
{
    struct pnm_reader r = { .at = bytes, .end = bytes + n, .err = err };
    unsigned width = 0, height = 0;
    (void)orientation;
    int rc = read_header(&r, &width, &height);
    if (!rc)
        rc = ft_image_admit(width, height, request, err);
    if (!rc)
        rc = ft_image_check_length("PNM", (size_t)(r.end - r.at), least_bytes(&r, width, height),
                                   width, height, err);
    if (!rc)
        rc = ft_image_reserve(out, (int)width, (int)height, 3, err);
    for (size_t y = 0; !rc && y < height; y++) {
        uint8_t *row = out->pixels + y * width * 3;
        rc = read_row(&r, (size_t)width * (size_t)r.channels, row);
        if (!rc && r.channels == 1)
            grey_to_rgb(row, width);
    }
    return rc;
}
