"use strict";

{  // made here: what the server gave as a file, a cache or a list of downloads could keep
    const text = JSON.parse(document.getElementById("keys-csv").textContent), save = document.getElementById("save-keys");
    save.href = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
    save.classList.replace("hidden", "inline-flex");
}
