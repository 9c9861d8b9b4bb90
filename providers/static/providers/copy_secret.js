"use strict";

document.getElementById("copy-secret").addEventListener("click", async () => {
    const secret = document.getElementById("secret"), copied = document.getElementById("copied");
    try {
        await navigator.clipboard.writeText(secret.textContent);
        copied.textContent = "Copied";
    } catch {  // over plain HTTP browsers give pages no clipboard
        getSelection().selectAllChildren(secret);
        copied.textContent = document.execCommand("copy") ? "Copied" : "Selected: press Ctrl+C";
    }
});
