@echo off
rem Runs the built command line with the Node that `npm start` chose. Not tested on Windows yet.
setlocal
if not exist "%~dp0.tools\node-path" goto missing
if not exist "%~dp0apps\cli\dist\lango.js" goto missing
set /p LANGO_NODE=<"%~dp0.tools\node-path"
"%LANGO_NODE%" --disable-sigusr1 --report-exclude-env "%~dp0apps\cli\dist\lango.js" %*
exit /b %ERRORLEVEL%
:missing
echo lango: not built yet. Run `npm start` in "%~dp0" first. 1>&2
exit /b 1
