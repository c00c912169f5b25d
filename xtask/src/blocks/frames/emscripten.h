/* The function of emscripten that the documentation uses. */
void emscripten_set_main_loop(void (*frame)(void), int fps, int simulate_infinite_loop);
