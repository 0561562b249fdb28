/* The gradient with respect to the images: for each phase of dx a stride-1 convolution of dout with the taps that meet
 * it. */

/* IN dout (N, F, HO, WO), w (F, C, HH, WW); OUT dx (N, C, H, W).
 *
 * Row y of dx gets dout's row t - i from filter row q + stride * i, where y + pad = q + stride * t: rows of one
 * remainder q are a stride-1 convolution of dout with every stride-th filter row. Columns alike. Beyond the border dout
 * is zero, so that a weight that is not finite makes dx nan there, too. */
static int NAME(conv_backward_dx)(const void *dout, const void *w_, void *dx, const sdl_conv *s, int n_threads)
{
    const real *w = w_;
    idx area = s->hh * s->ww, most = s->f * CEIL_DIV(s->hh, s->stride) * CEIL_DIV(s->ww, s->stride);
    idx before_y = (s->hh - 1) / s->stride, before_x = (s->ww - 1) / s->stride;
    idx last_y = MAX(s->ho - 1, (s->pad + s->h - 1) / s->stride),
        last_x = MAX(s->wo - 1, (s->pad + s->w - 1) / s->stride);
    idx *taps = sdl_scratch(SDL_SLOT_SHARED_2, most * sizeof(idx));
    real *weights = sdl_scratch(SDL_SLOT_SHARED, most * NAME(padded_columns)(s->c) * sizeof(real));
    real *rows = sdl_scratch(SDL_SLOT_C, most * s->c * sizeof(real));
    if (!taps || !weights || !rows) return -1;
    NAME(pass) p = { .images = dout,
                     .taps = taps,
                     .weights = weights,
                     .n = s->n,
                     .columns = s->c,
                     .out_image = s->c * s->h * s->w,
                     .out_channel = s->h * s->w,
                     .out_row = s->stride * s->w,
                     .out_col = s->stride };
    p.frame = (NAME(frame)){ .channels = s->f,
                             .height = s->ho,
                             .width = s->wo,
                             .top = before_y,
                             .left = before_x,
                             .padded_height = before_y + last_y + 1,
                             .phases = 1,
                             .phase_width = before_x + last_x + 1,
                             .stride = 1 };
    /* One pass for each remainder modulo the stride that the image has, found by its first row and column. */
    for (idx y = 0; y < MIN(s->h, s->stride); y++)
        for (idx x = 0; x < MIN(s->w, s->stride); x++) {
            idx qy = (y + s->pad) % s->stride, y0 = (y + s->pad) / s->stride;
            idx qx = (x + s->pad) % s->stride, x0 = (x + s->pad) / s->stride;
            p.rows = CEIL_DIV(s->h - y, s->stride);
            p.cols = CEIL_DIV(s->w - x, s->stride);
            p.start = NAME(frame_at)(&p.frame, 0, y0, x0);
            p.out = (real *)dx + y * s->w + x;
            p.k = 0;
            for (idx f = 0; f < s->f; f++)
                for (idx i = 0; qy + i * s->stride < s->hh; i++)
                    for (idx j = 0; qx + j * s->stride < s->ww; j++, p.k++) {
                        taps[p.k] = NAME(frame_at)(&p.frame, f, before_y - i, before_x - j);
                        const real *from = w + f * s->c * area + (qy + i * s->stride) * s->ww + qx + j * s->stride;
                        for (idx c = 0; c < s->c; c++) rows[p.k * s->c + c] = from[c * area];
                    }
            int by_rows = NAME(dx_goes_by_rows)(&p);
            p.weights = by_rows ? rows : weights;
            if (!by_rows) NAME(pack_weights)(rows, s->c, 1, p.k, s->c, weights);
            if (NAME(run_planned)(&p, by_rows, n_threads)) return -1;
        }
    return 0;
}
