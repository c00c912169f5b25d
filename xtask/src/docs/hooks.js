(() => {
    const fault = window.parent.fault;
    if (!fault) {
        return;
    }
    for (const level of ["error", "warn"]) {
        console[level] = (...words) => fault(`console.${level}: ${words.join(" ")}`);
    }
    // Errors of scripts, and, as they do not bubble, of resources that are missing.
    window.addEventListener("error", (event) => fault(event.message || `not loaded: ${event.target.src || event.target.href}`), true);
    window.addEventListener("unhandledrejection", (event) => fault(`rejected: ${event.reason}`));
})();
