/* Drawing into pixels: rectangles, text in a small bitmap font, a heat map over a picture. */
#ifndef FT_REPORT_CANVAS_H
#define FT_REPORT_CANVAS_H

#include <stdint.h>

struct ft_canvas {
    int width, height;
    uint8_t *pixels; /* [height, width, 3] */
};

/* Pixels outside the canvas are not drawn. */
void ft_canvas_fill(struct ft_canvas *canvas, int x, int y, int width, int height,
                    const uint8_t colour[3]);
/* UTF-8; a character takes 6 x 7 dots of `dot` pixels. */
void ft_canvas_text(struct ft_canvas *canvas, int x, int y, int dot, const char *text,
                    const uint8_t colour[3]);
void ft_canvas_picture(struct ft_canvas *canvas, int x, int y, const uint8_t *pixels, int width,
                       int height);
/* The picture in grey, tinted by map [rows, columns] interpolated between the centres of its cells:
 * red to yellow where the map is positive, blue to cyan where it is negative, grey where it is 0.
 * At the magnitude `most` the tint has its full strength. */
void ft_canvas_heat(struct ft_canvas *canvas, int x, int y, const uint8_t *pixels, int width,
                    int height, const float *map, int rows, int columns, float most);
/* The largest magnitude in a map. */
float ft_heat_most(const float *map, int cells);

#endif
