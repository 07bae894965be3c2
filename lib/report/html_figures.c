/* Figures of the report as SVG and data URIs. Colours are the page's classes. */
#include <math.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/memory.h"
#include "image/image.h"
#include "report/canvas.h"
#include "report/html.h"

enum {
    THUMB = 112,
    HEAT = 160,
    WIDE = 420,
    HIGH = 260,
    LEFT = 46,
    BOTTOM = 34,
    RIGHT = 22,
    ROOF = 14,
    QUALITY = 72
};

void ft_html_escape(struct ft_text *t, const char *s)
{
    while (*s) {
        const int n = ft_utf8_length(s);
        const bool control = ((unsigned char)*s < 0x20 && *s != '\n' && *s != '\t') || *s == 0x7f;
        if (!n || control) /* not allowed in an HTML page */
            ft_text_add(t, "\uFFFD");
        else
            switch (*s) {
            case '<':
                ft_text_add(t, "&lt;");
                break;
            case '>':
                ft_text_add(t, "&gt;");
                break;
            case '&':
                ft_text_add(t, "&amp;");
                break;
            case '"':
                ft_text_add(t, "&quot;");
                break;
            default:
                ft_text_add(t, "%.*s", n, s);
            }
        s += n ? n : 1;
    }
}

static void add_base64(struct ft_text *t, const uint8_t *p, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char line[65] = "";
    int used = 0;
    for (size_t i = 0; i < n; i += 3) {
        const unsigned v = (unsigned)p[i] << 16 | (unsigned)(i + 1 < n ? p[i + 1] : 0) << 8 |
                           (i + 2 < n ? p[i + 2] : 0);
        line[used++] = digits[v >> 18];
        line[used++] = digits[v >> 12 & 63];
        line[used++] = i + 1 < n ? digits[v >> 6 & 63] : '=';
        line[used++] = i + 2 < n ? digits[v & 63] : '=';
        if (used == 64 || i + 3 >= n) {
            ft_text_add(t, "%.*s", used, line);
            used = 0;
        }
    }
}

static void add_image(struct ft_text *t, const uint8_t *pixels, int width, int height,
                      const char *alt, int wide, int high)
{
    uint8_t *bytes = NULL;
    size_t n = 0;
    if (ft_image_encode_jpeg(pixels, width, height, QUALITY, &bytes, &n, NULL)) {
        ft_text_fail(t); /* pixels can always be encoded, unless memory runs out */
        return;
    }
    ft_text_add(t, "<img width=\"%d\" height=\"%d\" alt=\"", wide, high);
    ft_html_escape(t, alt);
    ft_text_add(t, "\" src=\"data:image/jpeg;base64,");
    add_base64(t, bytes, n);
    ft_text_add(t, "\">");
    free(bytes);
}

void ft_html_thumbnail(struct ft_text *t, const char *path, uint64_t max_pixels)
{
    const struct ft_geometry square = { THUMB, THUMB, FT_RESIZE_CROP, FT_FILTER_BICUBIC, 1, false };
    struct ft_preparer preparer = { 0 };
    struct ft_bytes bytes = { 0 };
    uint8_t *pixels = ft_alloc(THUMB * THUMB, 3);
    int rc = pixels ? ft_file_read(path, (size_t)1 << 30, &bytes, NULL) : FT_ENOMEM;
    if (!rc)
        rc = ft_image_prepare(&preparer, bytes.data, bytes.size, &square, max_pixels, pixels, NULL);
    if (!rc)
        add_image(t, pixels, THUMB, THUMB, "", THUMB, THUMB);
    else if (rc == FT_ENOMEM)
        ft_text_fail(t); /* not a fault of the picture */
    else
        ft_text_add(t, "<span class=\"none\">the file can no longer be read</span>");
    ft_preparer_release(&preparer);
    ft_bytes_release(&bytes);
    free(pixels);
}

void ft_html_heat(struct ft_text *t, const struct ft_explanation *e, const struct ft_question *q)
{
    const int w = e->picture_width, h = e->picture_height, cells = e->height * e->width;
    struct ft_canvas full = { w, h, ft_alloc((size_t)w * (size_t)h, 3) };
    float *map = ft_alloc((size_t)cells, sizeof *map);
    uint8_t *small = ft_alloc(HEAT * HEAT, 3);
    struct ft_resizer resizer = { 0 };
    if (full.pixels && map && small) {
        const struct ft_image image = { .width = w, .height = h, .pixels = full.pixels };
        ft_explanation_map(e, q, map);
        ft_canvas_heat(&full, 0, 0, e->picture, w, h, map, e->height, e->width,
                       ft_heat_most(map, cells));
        if (!ft_image_resize(&image, (double[]){ 0, 0, w, h }, HEAT, HEAT, FT_FILTER_BILINEAR,
                             &resizer, small, NULL))
            add_image(t, small, HEAT, HEAT, "heat map", THUMB, THUMB);
        else
            ft_text_fail(t);
    } else
        ft_text_fail(t);
    ft_resizer_release(&resizer);
    free(full.pixels);
    free(map);
    free(small);
}

/* ---- SVG ------------------------------------------------------------------------------------- */

static void open_svg(struct ft_text *t, const char *label)
{
    ft_text_add(
        t,
        "<svg viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" role=\"img\" aria-label=\"%s\">\n",
        WIDE, HIGH, WIDE, HIGH, label);
    ft_text_add(t, "<path class=\"axis\" d=\"M%d %dV%dH%d\"/>\n", LEFT, ROOF, HIGH - BOTTOM,
                WIDE - RIGHT);
}

static double across(double share)
{
    return LEFT + share * (WIDE - RIGHT - LEFT);
}

static double up(double share)
{
    return HIGH - BOTTOM - share * (HIGH - BOTTOM - ROOF);
}

static void tick_y(struct ft_text *t, double share, const char *format, double value)
{
    ft_text_add(
        t, "<path class=\"grid\" d=\"M%d %.1fH%d\"/><text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">",
        LEFT, up(share), WIDE - RIGHT, LEFT - 6, up(share) + 4);
    ft_text_add(t, format, value);
    ft_text_add(t, "</text>\n");
}

static void tick_x(struct ft_text *t, double share, const char *format, double value)
{
    ft_text_add(t, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">", across(share),
                HIGH - BOTTOM + 15);
    ft_text_add(t, format, value);
    ft_text_add(t, "</text>\n");
}

void ft_html_reliability(struct ft_text *t, const struct ft_metrics *m)
{
    open_svg(t, "Reliability diagram: accuracy against predicted probability");
    for (int i = 0; i <= 4; i++) {
        tick_y(t, i / 4.0, "%.2f", i / 4.0);
        tick_x(t, i / 4.0, "%.2f", i / 4.0);
    }
    ft_text_add(t, "<path class=\"ideal\" d=\"M%.1f %.1fL%.1f %.1f\"/>\n", across(0), up(0),
                across(1), up(1));
    size_t most = 1;
    for (int b = 0; b < FT_BINS; b++)
        most = m->bins[b].rows > most ? m->bins[b].rows : most;
    for (int b = 0; b < FT_BINS; b++) {
        const struct ft_bin *bin = &m->bins[b];
        if (!bin->rows)
            continue;
        const double accuracy = (double)bin->right / (double)bin->rows;
        ft_text_add(t,
                    "<circle class=\"point\" cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\"><title>%zu "
                    "pictures: mean probability %.3f, accuracy %.3f</title></circle>\n",
                    across(bin->confidence), up(accuracy),
                    3 + 7 * sqrt((double)bin->rows / (double)most), bin->rows, bin->confidence,
                    accuracy);
    }
    ft_text_add(
        t,
        "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">predicted probability; area: number of "
        "pictures</text></svg>\n",
        across(0.5), HIGH - 4);
}

void ft_html_curve(struct ft_text *t, const struct ft_curve *c)
{
    const struct ft_curve_point *p = c->points;
    const double from = log(p[0].images), to = log(c->doubled.images);
    double low = c->doubled.low;
    for (int i = 0; i < c->n_points; i++)
        low = p[i].low < low ? p[i].low : low;
    low = fmin(0.95, fmax(0, floor(low * 20) / 20)); /* lower end of the scale */
    open_svg(t, "Learning curve: accuracy against number of pictures");
    for (int i = 0; i <= 4; i++)
        tick_y(t, i / 4.0, "%.3f", low + (1 - low) * i / 4.0);
    for (int i = 0; i < c->n_points; i++)
        tick_x(t, (log(p[i].images) - from) / (to - from), "%.0f", p[i].images);
    tick_x(t, 1, "%.0f", c->doubled.images);
    ft_text_add(t, "<path class=\"ideal\" d=\"");
    for (int i = 0; i <= 60; i++) {
        const double error = ft_power_law_error(&c->law, exp(from + (to - from) * i / 60)),
                     share = (1 - error - low) / (1 - low);
        ft_text_add(t, "%c%.1f %.1f", i ? 'L' : 'M', across(i / 60.0), up(fmax(0, share)));
    }
    ft_text_add(t, "\"/>\n");
    for (int i = 0; i <= c->n_points; i++) {
        const struct ft_curve_point *at = i < c->n_points ? &p[i] : &c->doubled;
        const double x = across((log(at->images) - from) / (to - from));
        ft_text_add(
            t,
            "<path class=\"whisker\" d=\"M%.1f %.1fV%.1f\"/><circle class=\"%s\" cx=\"%.1f\" "
            "cy=\"%.1f\" r=\"4\"><title>%.0f pictures: %.4f (%.4f to %.4f)</title></circle>\n",
            x, up(fmax(0, (at->low - low) / (1 - low))), up((at->high - low) / (1 - low)),
            i < c->n_points ? "point" : "guess", x, up(fmax(0, (at->accuracy - low) / (1 - low))),
            at->images, at->accuracy, at->low, at->high);
    }
    ft_text_add(
        t,
        "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">training pictures; open circle: twice "
        "as many, extrapolated</text></svg>\n",
        across(0.5), HIGH - 4);
}
