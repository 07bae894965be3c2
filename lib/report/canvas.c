#include "report/canvas.h"

#include <math.h>
#include <string.h>

#include "base/numbers.h"

void ft_canvas_fill(struct ft_canvas *c, int x, int y, int width, int height,
                    const uint8_t colour[3])
{
    const int x1 = x + width < c->width ? x + width : c->width,
              y1 = y + height < c->height ? y + height : c->height;
    for (int j = y > 0 ? y : 0; j < y1; j++)
        for (int i = x > 0 ? x : 0; i < x1; i++)
            memcpy(c->pixels + 3 * ((size_t)j * (size_t)c->width + (size_t)i), colour, 3);
}

void ft_canvas_picture(struct ft_canvas *c, int x, int y, const uint8_t *pixels, int width,
                       int height)
{
    for (int j = 0; j < height; j++)
        for (int i = 0; i < width; i++)
            ft_canvas_fill(c, x + i, y + j, 1, 1,
                           pixels + 3 * ((size_t)j * (size_t)width + (size_t)i));
}

float ft_heat_most(const float *map, int cells)
{
    float most = 0;
    for (int i = 0; i < cells; i++)
        most = fmaxf(most, fabsf(map[i]));
    return most;
}

/* map at (u, v), in cells: the centre of the first is (0.5, 0.5). */
static float between(const float *map, int rows, int columns, float u, float v)
{
    const float x = ft_clampf(u - 0.5f, 0, (float)columns - 1),
                y = ft_clampf(v - 0.5f, 0, (float)rows - 1);
    const int x0 = (int)x, y0 = (int)y, x1 = x0 + (x0 + 1 < columns), y1 = y0 + (y0 + 1 < rows);
    const float fx = x - (float)x0, fy = y - (float)y0;
    const float top = map[y0 * columns + x0] * (1 - fx) + map[y0 * columns + x1] * fx;
    const float bottom = map[y1 * columns + x0] * (1 - fx) + map[y1 * columns + x1] * fx;
    return top * (1 - fy) + bottom * fy;
}

/* Towards yellow through red, or towards cyan through blue. */
static void tint(float strength, float *r, float *g, float *b)
{
    const float s = fabsf(strength), second = ft_clampf(2 * s - 1, 0, 1);
    *r = strength > 0 ? 235 : 30 + 20 * second;
    *g = strength > 0 ? 60 + 170 * second : 90 + 140 * second;
    *b = strength > 0 ? 30 : 225;
}

void ft_canvas_heat(struct ft_canvas *c, int x, int y, const uint8_t *pixels, int width, int height,
                    const float *map, int rows, int columns, float most)
{
    for (int j = 0; j < height; j++)
        for (int i = 0; i < width; i++) {
            const uint8_t *p = pixels + 3 * ((size_t)j * (size_t)width + (size_t)i);
            const float grey = 0.299f * p[0] + 0.587f * p[1] + 0.114f * p[2];
            const float value =
                between(map, rows, columns, ((float)i + 0.5f) * (float)columns / (float)width,
                        ((float)j + 0.5f) * (float)rows / (float)height);
            const float strength = most > 0 ? ft_clampf(value / most, -1, 1) : 0,
                        alpha = 0.75f * fabsf(strength);
            float r, g, b;
            tint(strength, &r, &g, &b);
            const float base = grey * 0.85f + 20;
            const uint8_t out[3] = { (uint8_t)(base + alpha * (r - base)),
                                     (uint8_t)(base + alpha * (g - base)),
                                     (uint8_t)(base + alpha * (b - base)) };
            ft_canvas_fill(c, x + i, y + j, 1, 1, out);
        }
}
