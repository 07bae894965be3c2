/* Draws an explanation: the network's input, the same picture under its heat map, and a panel with
 * label, probabilities and legend. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "finetune-tools.h"
#include "image/image.h"
#include "report/canvas.h"
#include "report/text.h"

enum { MARGIN = 16, PANEL = 340, DOT = 2, LINE = 24, TOP = 6, COLUMNS = PANEL / (6 * DOT) };

static const uint8_t paper[3] = { 250, 249, 246 }, ink[3] = { 34, 34, 34 },
                     faint[3] = { 120, 120, 116 }, rail[3] = { 226, 224, 218 },
                     bar[3] = { 47, 111, 159 };

/* One line of text in the panel, cut at its right edge. */
static void put(struct ft_canvas *c, int x, int *y, const uint8_t *colour, const char *text)
{
    char line[4 * COLUMNS + 1];
    size_t bytes = 0;
    for (int columns = 0; text[bytes] && bytes < sizeof line - 4; bytes++) {
        columns += ((unsigned char)text[bytes] & 0xc0) != 0x80;
        if (columns > COLUMNS)
            break;
    }
    snprintf(line, sizeof line, "%.*s", (int)bytes, text);
    ft_canvas_text(c, x, *y, DOT, line, colour);
    *y += LINE;
}

static void put_classes(struct ft_canvas *c, int x, int *y, const struct ft_explanation *e,
                        char *const *classes)
{
    float *left = ft_alloc((size_t)e->k, sizeof *left);
    char text[200];
    if (!left)
        return;
    memcpy(left, e->p, (size_t)e->k * sizeof *left);
    for (int i = 0; i < TOP && i < e->k; i++) {
        const int best = ft_argmax(left, e->k);
        snprintf(text, sizeof text, "%5.1f %% %s", 100 * (double)e->p[best], classes[best]);
        put(c, x, y, ink, text);
        ft_canvas_fill(c, x, *y - 6, PANEL - MARGIN, 6, rail);
        ft_canvas_fill(c, x, *y - 6, (int)((float)(PANEL - MARGIN) * e->p[best]), 6, bar);
        *y += 12;
        left[best] = -1;
    }
    free(left);
}

static void put_panel(struct ft_canvas *c, int x, const struct ft_explanation *e,
                      const struct ft_question *q, char *const *classes, const char *title)
{
    int y = MARGIN;
    char text[400];
    put(c, x, &y, faint, title);
    ft_canvas_text(c, x, y, 2 * DOT, classes[ft_argmax(e->p, e->k)], ink);
    y += 2 * LINE;
    put_classes(c, x, &y, e, classes);
    y += LINE / 2;
    snprintf(text, sizeof text, q->against < 0 ? "warm: supports %s" : "warm: for %s",
             classes[q->class_index]);
    put(c, x, &y, faint, text);
    snprintf(text, sizeof text, q->against < 0 ? "cold: contradicts it" : "cold: for %s",
             q->against < 0 ? "" : classes[q->against]);
    put(c, x, &y, faint, text);
    put(c, x, &y, faint, e->exact ? "class activation map" : "occlusion");
    if (!e->exact)
        return;
    const double elsewhere = (double)e->elsewhere[q->class_index] -
                             (q->against >= 0 ? (double)e->elsewhere[q->against] : 0);
    if (elsewhere != 0) {
        snprintf(text, sizeof text, "whole picture: %+.2f", elsewhere);
        put(c, x, &y, faint, text);
    }
}

int ft_explanation_draw(const struct ft_explanation *e, const struct ft_question *q,
                        char *const *classes, const char *title, const char *path,
                        struct ft_error *err)
{
    const int w = e->picture_width, h = e->picture_height,
              least = 2 * MARGIN + 6 * LINE + TOP * (LINE + 12);
    struct ft_canvas c = { .width = 2 * w + PANEL + 4 * MARGIN,
                           .height = h + 2 * MARGIN > least ? h + 2 * MARGIN : least };
    float *map = ft_alloc((size_t)e->height * (size_t)e->width, sizeof *map);
    c.pixels = ft_alloc((size_t)c.width * (size_t)c.height, 3);
    int rc = map && c.pixels ? 0 : ft_error_nomem(err, path);
    if (!rc) {
        ft_explanation_map(e, q, map);
        ft_canvas_fill(&c, 0, 0, c.width, c.height, paper);
        ft_canvas_picture(&c, MARGIN, MARGIN, e->picture, w, h);
        ft_canvas_heat(&c, 2 * MARGIN + w, MARGIN, e->picture, w, h, map, e->height, e->width,
                       ft_heat_most(map, e->height * e->width));
        put_panel(&c, 3 * MARGIN + 2 * w, e, q, classes, title);
        rc = ft_image_write(path, c.pixels, c.width, c.height, err);
    }
    free(map);
    free(c.pixels);
    return rc;
}
